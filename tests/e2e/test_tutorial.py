"""docs/tutorial.md, part 2: its commands as they are written, and what it says comes of them. Run in order."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.e2e import cluster
from tests.e2e.cluster import NAMESPACE, ROOT, kubectl, link, prove, until, wait_served_by_the_best_of, workers
from tests.e2e.pages import blocks, shell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

part = partial(blocks, "docs/tutorial.md")
STILL = "its stream stands still (waiting)"


@pytest.fixture(scope="module", autouse=True)
def clean() -> Iterator[None]:
    cluster.remove()
    yield
    cluster.remove()


@pytest.fixture(scope="module")
def second_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the logs that the reader follows have shown."""
    *_, follow = part("Deploy")
    shown = tmp_path_factory.mktemp("second") / "terminal"
    with (
        shown.open("w") as out,
        subprocess.Popen(["bash", "-c", follow], cwd=ROOT, stdout=out, start_new_session=True) as following,
    ):
        yield shown
        os.killpg(following.pid, signal.SIGTERM)


def events(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines()]


def test_make_all_ends_with_numbers_and_all_is_well() -> None:
    deploy, status, _ = part("Deploy")
    assert re.search(r"^worker-2 +\d+ +[\d.]+/s +producer-[01] +\d+ ", shell(deploy).stdout, re.MULTILINE)
    until(lambda: shell(status, check=False).stdout.endswith("\nall is well\n"), "all is well")


def test_a_deleted_worker_goes_on_where_its_volume_ends(second_terminal: Path) -> None:
    delete, own_log, of_producers = part("Kill a pod")
    before = prove()
    until(lambda: "worker-1 " in second_terminal.read_text(), "the logs are shown")
    shell(delete)
    until(lambda: "link.resumed" in kubectl("logs", "worker-1", check=False), "the new pod is served")
    told = {event["event"]: event for event in reversed(events(shell(own_log).stdout))}
    offset = told["store.recovered"]["offset"]
    assert offset == told["link.resumed"]["offset"]
    assert offset >= before["worker-1"]
    gaps = [event for event in events(shell(of_producers).stdout) if event["offset"] == offset]
    assert {gap["interrupted_by"] for gap in gaps} == {"shutdown"}
    shown = rf"worker-1 +service\.stopping (?s:.*)worker-1 +store\.recovered .*offset={offset} "
    until(lambda: re.search(shown, second_terminal.read_text()), "the second terminal shows it")


def test_every_store_is_proved() -> None:
    [verify] = part("Prove it in the pod")
    assert shell(verify).stdout.splitlines()[-1].startswith("PROVED: all 3 stores")


def test_without_producers_all_streams_stand_still_until_they_are_back() -> None:
    none, status, back = part("Nobody at the other end")
    before = prove()
    shell(none)
    until(lambda: shell(status, check=False).stderr.count(STILL) == 3, "all streams stand still")
    shell(back)
    prove(before)


def test_producers_cannot_connect_without_the_policy_that_lets_them() -> None:
    take_away, again, unreachable, repair, gap = part("Break the network")
    before = prove()
    shell(take_away)
    shell(again)
    told = until(lambda: shell(unreachable, check=False).stdout, "the new producers reach nobody")
    assert {event["reason"] for event in events(told)} == {"timeout"}
    assert {link(worker)["state"] for worker in workers()} == {"waiting"}
    shell(repair, MAKEFLAGS=cluster.tag())
    prove(before)
    [interrupted] = events(shell(gap).stdout)
    assert interrupted["interruption"] > 5


def test_a_third_producer_takes_over_from_the_one_that_is_killed_until_it_is_back() -> None:
    more, status, kill, resumed, verify = part("More producers")
    shell(more)
    wait_served_by_the_best_of(["producer-0", "producer-1", "producer-2"])
    until(lambda: not shell(status, check=False).returncode, "all is well")
    shell(kill)

    def is_served(producer: str, after: str) -> bool:
        [event] = events(shell(resumed).stdout)
        return (event["producer"], event["after"]) == (producer, after)

    until(partial(is_served, "producer-2", "promotion"), "the second takes over")
    until(partial(is_served, "producer-1", "hand-over"), "the first has its share back")
    assert shell(verify).stdout.splitlines()[-1].startswith("PROVED: all 3 stores")


def test_nothing_is_left() -> None:
    [clean_up] = part("Clean up")
    shell(clean_up)
    assert not kubectl("get", "namespace", NAMESPACE, "--ignore-not-found")
