"""The documentation's commands as they are written: an overlay of one's own, seeds, proofs, upgrades. Run in order."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from shutil import rmtree

import pytest
from tests.e2e import cluster
from tests.e2e.cluster import ROOT, kubectl, link, make, pods, prove, until, wait_served_by_the_best_of, workers
from tests.e2e.pages import blocks, shell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

OPERATIONS, KUBERNETES = "docs/operations.md", "docs/kubernetes.md"
SEED = "a seed of one's own"
MINE = ROOT / "mine"
OURS = "OVERLAY=../../mine CLUSTER=none"
LEFT = [ROOT / "seed", ROOT / "old-seed"]
"""What the commands leave in the folder in which they are run."""


@pytest.fixture(scope="module", autouse=True)
def deployed() -> Iterator[None]:
    cluster.remove()
    make("build")
    yield
    cluster.remove()
    rmtree(MINE)
    for each in LEFT:
        each.unlink(missing_ok=True)


def flags() -> str:
    """For `make` in a block: the overlay of this test, and the tag that is deployed."""
    return f"{OURS} {cluster.tag()}"


def told_by(block: str) -> str:
    """What a block prints: nothing while the log does not have it yet."""
    return shell(block).stdout


def make_overlay() -> None:
    """The page's six lines, for what this cluster has."""
    page = (ROOT / KUBERNETES).read_text(encoding="utf-8")
    [lines] = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    built = cluster.run("make", "--no-print-directory", "--dry-run", "load-images").stdout
    [tag] = set(re.findall(r"randstream:([0-9a-f]{12})", built))
    for page_has, here in (
        ("overlays/production", "overlays/minikube"), ("registry.example.org/team/randstream", "randstream"),
        ('"1.0"', f'"{tag}"'), ("worker, count: 20", "worker, count: 3"), ("producer, count: 3", "producer, count: 2"),
        ("\"fast\"", "\"standard\""),
    ):  # fmt: skip
        assert page_has in lines
        lines = lines.replace(page_has, here)
    MINE.mkdir(exist_ok=True)
    (MINE / "kustomization.yaml").write_text(lines)


def test_an_overlay_of_ones_own_with_a_seed_of_ones_own_streams() -> None:
    (ROOT / "seed").write_text(SEED)
    save, bring = blocks(KUBERNETES, "The seed")
    shell(bring)
    make_overlay()
    [deploy] = blocks(KUBERNETES, "An overlay of your own")
    shown = shell(deploy).stdout
    cluster.log.info("%s", shown)
    assert re.search(r"^worker-2 +\d+ +\d+/s +producer-[01] +\d+ ", shown, re.MULTILINE)
    assert {pod["metadata"]["labels"]["app.kubernetes.io/part-of"] for pod in pods().values()} == {"randstream"}
    assert cluster.seed() == SEED
    (ROOT / "seed").unlink()
    shell(save)
    assert (ROOT / "seed").read_text() == SEED
    prove()


def test_every_store_is_proved_in_its_pod() -> None:
    [by_hand] = blocks(OPERATIONS, "The proof in the pod")
    assert "every one as the seed makes it" in shell(by_hand).stdout
    done = make("verify")
    assert done.stdout.splitlines()[-1].startswith("PROVED: all 3 stores")
    assert done.stdout.count("every one as the seed makes it") == 3


def test_the_json_comes_through_a_forwarded_port() -> None:
    forward, ask = blocks(OPERATIONS, "The page and the JSON from outside")
    with subprocess.Popen(["bash", "-c", f"exec {forward}"], stdout=subprocess.DEVNULL) as forwarding:
        try:
            told = until(lambda: shell(ask, check=False).stdout, "it is forwarded")
        finally:
            forwarding.kill()
    assert json.loads(told)["name"] == "worker-0"


def test_workers_tell_of_producers_that_died_and_a_producer_of_a_worker_that_did() -> None:
    cluster.delete_pods("producer-0", "producer-1", by_force=True)
    before = prove()
    wait_served_by_the_best_of(["producer-0", "producer-1"])  # so it is producer-0 that loses worker-2
    cluster.delete_pods("worker-2", by_force=True)
    prove(before)
    shown = [until(partial(told_by, recipe), recipe) for recipe in blocks(OPERATIONS, "Recipes")]
    rows = [line.split("\t") for line in shown[1].splitlines()]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    for worker in ("worker-0", "worker-1"):
        mine = [row[2] for row in rows if row[1] == worker]
        assert {"link.lost", "link.closed"} & set(mine)  # a pod that is deleted by force may still say goodbye
        assert mine[-1] == "link.resumed"
    assert {line.split("\t")[0] for line in shown[4].splitlines()} >= {"worker-2"}


def test_logs_follow_pods_that_are_replaced() -> None:
    command = ["make", "--no-print-directory", "logs", "ARGS=--json --tail 1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        told = [json.loads(following.stdout.readline())]
        cluster.delete_pods("worker-1")
        deadline = time.monotonic() + cluster.PATIENCE
        for line in following.stdout:
            told.append(json.loads(line))
            if told[-1].get("event") == "service.started" and told[-1]["pod"] == "worker-1":
                break
            assert time.monotonic() < deadline
        following.terminate()
    assert "service.stopping" in [each.get("event") for each in told if each["pod"] == "worker-1"]
    prove()


def test_another_image_rolls_out_and_back_and_nothing_is_lost() -> None:
    before = prove()
    first = cluster.image()
    second = first + "-next"
    cluster.run("docker", "tag", first, second)
    make_overlay()
    lines = (MINE / "kustomization.yaml").read_text()
    (MINE / "kustomization.yaml").write_text(lines.replace(first.partition(":")[2], second.partition(":")[2]))
    make("deploy", *OURS.split())
    assert cluster.image() == second
    before = prove(before)
    back, _ = blocks(KUBERNETES, "Upgrade, roll back, remove")
    shell(back)
    assert cluster.image() == first
    prove(before)
    make_overlay()
    cluster.run("docker", "image", "rm", second)


def test_everything_can_stop_and_go_on_later() -> None:
    before = prove()
    _, stop_and_go = blocks(KUBERNETES, "Upgrade, roll back, remove")
    shell(stop_and_go, MAKEFLAGS=flags())
    prove(before)
    assert make("status").stdout.endswith("all is well\n")


def test_fewer_workers_leave_their_volumes_until_those_are_given_up() -> None:
    before = prove()
    fewer, give_up = blocks(OPERATIONS, "Fewer workers")
    assert "data-worker-2" in shell(fewer).stdout
    status = make("status").stdout
    assert "kept, with the numbers of workers that are gone: data-worker-2 " in status
    make("scale", "N=3")
    prove(before)
    make("scale", "N=2")
    shell(give_up)
    make("scale", "N=3")
    prove({worker: end for worker, end in before.items() if worker != "worker-2"})
    assert cluster.end_of_store("worker-2") < before["worker-2"]


def test_another_seed_changes_each_worker_once_and_the_old_streams_can_be_moved_away() -> None:
    old = {worker: link(worker)["stream"] for worker in workers()}
    change, move_away = blocks(OPERATIONS, "Another seed")
    shell(change, MAKEFLAGS=flags())
    assert (ROOT / "old-seed").read_text() == SEED
    until(lambda: all(link(worker)["stream"] != old[worker] for worker in workers()), "each has the new stream")
    for worker in workers():
        streams = [line["stream"] for line in cluster.logs(worker) if line["event"] == "link.resumed"]
        changes = [pair for pair in pairwise(streams) if pair[0] != pair[1]]
        assert changes == [(old[worker], link(worker)["stream"])]
    told = make("status", check=False)
    assert told.returncode != 0
    for worker, stream in old.items():
        assert f"{worker}: /data/store holds more " in told.stderr
        assert stream in told.stderr
    assert make("verify", check=False).returncode != 0
    for worker in workers():
        moved = shell(move_away.replace("worker-0", worker))
        assert "every one as the seed makes it" in moved.stdout
    assert make("verify").stdout.splitlines()[-1].startswith("PROVED: all 3 stores")


def test_a_seed_that_is_not_in_use_yet_is_named_by_status() -> None:
    kubectl("patch", "secret", "randstream-seed", "--patch", json.dumps({"stringData": {"seed": "3" * 32}}))
    assert "has changed since the producers were deployed: make deploy" in make("status", check=False).stderr
