"""`make all` on the cluster of the current kubectl context, then what may happen to pods. Run the tests in order."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.e2e import cluster
from tests.e2e.cluster import NAMESPACE, ROOT, kubectl, make, pods, prove, until, workers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

PRODUCERS = ["producer-0", "producer-1"]
UNLABELLED: dict[str, str] = {}
PRODUCER = {"app.kubernetes.io/name": "randstream", "app.kubernetes.io/component": "producer"}
SCRAPER = {"randstream.io/scrape": "true"}


@pytest.fixture(scope="module", autouse=True)
def shown() -> Iterator[str]:
    """What `make all` says."""
    cluster.remove()
    said = make("all").stdout
    cluster.log.info("%s", said)
    yield said
    cluster.remove()


def closed_links() -> set[tuple[str, str]]:
    """The producer and the worker of each link that has ended, as the producers' logs tell."""
    return {
        (producer, line["worker"])
        for producer in pods("producer")
        for line in cluster.logs(producer)
        if line["event"] == "link.closed"
    }


def test_every_stream_flows_after_make_all() -> None:
    assert sorted(pods("producer")) == PRODUCERS
    assert workers() == ["worker-0", "worker-1", "worker-2"]
    prove()


def test_make_all_shows_the_numbers_and_what_to_do_next_in_a_screenful(shown: str) -> None:
    lines = shown.splitlines()
    assert len(lines) <= 24, shown
    rows = {line.split()[0]: line.split() for line in lines if line.startswith("worker-")}
    assert sorted(rows) == workers()
    for row in rows.values():
        assert len(row[4:]) == 5, row
        assert all(1 <= int(number) <= 100 for number in row[4:])
    for command in ("make status", "make logs", "make verify", "make scale N=5", "make clean"):
        assert command in shown


def test_status_finds_nothing_wrong() -> None:
    done = make("status")
    assert done.stdout.endswith("\nall is well\n")
    assert done.stderr == ""


def test_every_line_of_every_log_is_json_and_tells_of_the_stream() -> None:
    resumed = {
        line["worker"]: line["stream"]
        for producer in pods("producer")
        for line in cluster.logs(producer)
        if line["event"] == "link.resumed"
    }
    assert sorted(resumed) == workers()
    for worker in workers():
        [stream] = {line["stream"] for line in cluster.logs(worker) if line["event"] == "link.resumed"}
        assert stream == resumed[worker]


def test_the_seed_is_in_no_log() -> None:
    secret = cluster.seed()
    assert len(secret) == 32
    for pod in pods():
        assert secret not in kubectl("logs", pod)


def test_the_stream_of_a_deleted_worker_resumes_exactly() -> None:
    before = prove()
    cluster.delete_pods("worker-1")
    prove(before)


def test_the_stream_of_a_killed_worker_resumes_exactly() -> None:
    before = prove()
    cluster.delete_pods("worker-2", by_force=True)
    prove(before)


def test_producers_that_are_all_deleted_at_once_have_successors() -> None:
    before = prove()
    cluster.delete_pods(*pods("producer"))
    prove(before)
    assert sorted(pods("producer")) == PRODUCERS


def test_scaling_up_and_down_needs_nothing_else() -> None:
    before = prove()
    make("scale", "N=5")
    assert len(workers()) == 5
    before = prove(before)
    make("scale", "N=2")
    assert workers() == ["worker-0", "worker-1"]
    prove(before)
    left = {(producer, worker) for producer in PRODUCERS for worker in ("worker-2", "worker-3", "worker-4")}
    until(lambda: left <= closed_links(), "each producer's links to those that left have ended")
    make("scale", "N=3")
    prove(before)


def test_only_permitted_pods_can_connect() -> None:
    address = {name: pod["status"]["podIP"] for name, pod in pods().items()}
    stream, admin, of_producer = (address["worker-0"], 9000), (address["worker-0"], 9001), (address["producer-0"], 9001)
    assert cluster.attempts(PRODUCER, stream, admin) == [True, False]
    assert cluster.attempts(UNLABELLED, stream, admin, of_producer) == [False, False, False]
    with cluster.other_namespace("randstream-strangers") as strangers:
        assert cluster.attempts(UNLABELLED, stream, admin, of_producer, namespace=strangers) == [False, False, False]
        assert cluster.attempts(PRODUCER, stream, namespace=strangers) == [False]
        assert cluster.attempts(SCRAPER, stream, admin, of_producer, namespace=strangers) == [False, True, True]


def test_a_missing_secret_is_named_by_status_and_made_by_deploy() -> None:
    before = prove()
    secret = cluster.seed()
    kubectl("delete", "secret", "randstream-seed")
    kubectl("rollout", "restart", "statefulset/producer")
    waits = "waits for the Secret randstream-seed, which is missing"
    told = until(lambda: waits in (done := make("status", check=False)).stderr and done, "status names the Secret")
    assert told.returncode != 0
    assert "the Secret randstream-seed is missing: no producer can start again" in told.stderr
    kubectl("create", "secret", "generic", "randstream-seed", "--from-file=seed=/dev/stdin", given=secret)
    kubectl("rollout", "status", "statefulset/producer", "--timeout=180s")
    prove(before)


def test_an_unknown_setting_is_one_clear_line() -> None:
    overlay = ROOT / "build" / "e2e"
    overlay.mkdir(parents=True, exist_ok=True)
    setting = {"name": "producer", "namespace": NAMESPACE, "behavior": "merge", "literals": ["RANDSTREAM_RAET=5"]}
    (overlay / "kustomization.yaml").write_text(
        json.dumps({"resources": ["../../deploy/overlays/minikube"], "configMapGenerator": [setting]})
    )
    before = prove()
    deployed = cluster.tag()
    done = make("deploy", "OVERLAY=../../build/e2e", deployed, check=False)
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert "RANDSTREAM_RAET" in line
    assert "RANDSTREAM_RATE" in line
    assert make("status", check=False).returncode != 0
    assert "all pods are ready" in make("deploy", deployed).stdout
    prove(before)


def test_an_image_that_is_not_loaded_is_one_clear_line() -> None:
    deployed = cluster.tag()
    for arguments in (["CLUSTER=minikube"], ["CLUSTER=none"]):
        done = make("deploy", "TAG=never-built", *arguments, check=False)
        assert done.returncode != 0
        [line] = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert "never-built" in line
        assert "load-images" in line
    assert "all pods are ready" in make("deploy", deployed).stdout
