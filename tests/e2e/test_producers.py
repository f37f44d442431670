"""Three producers of one stream: whatever happens to them, each worker goes on. Run the tests in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e import cluster
from tests.e2e.cluster import (
    NAMESPACE,
    OURS,
    kubectl,
    link,
    make,
    objects,
    pods,
    prove,
    served,
    until,
    wait_served_by_the_best_of,
    workers,
)
from tests.project.scripts import load

silence = load("silence")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

PRODUCERS = ["producer-0", "producer-1", "producer-2"]
SCRAPER = {"randstream.io/scrape": "true"}
MOST_CHANGES = {"delete": 2, "kill": 2, "restart": 2 * len(PRODUCERS)}
"""Of the producer of one worker: to another when its own ends, and back to the better one. A storm has many more."""


@pytest.fixture(scope="module", autouse=True)
def deployed() -> Iterator[None]:
    cluster.remove()
    make("all")
    make("scale-producers", "N=3")
    yield
    make("clean")


@pytest.fixture(scope="module")
def measured() -> Iterator[list[dict[str, Any]]]:
    """What each event did, printed at the end: nothing promises how fast a noisy machine is."""
    found: list[dict[str, Any]] = []
    yield found
    cluster.log.info("%s", "\n" + silence.table(found))


def test_every_producer_is_ready_and_each_worker_finds_the_best_of_them() -> None:
    assert sorted(pods("producer")) == PRODUCERS
    prove()
    wait_served_by_the_best_of(PRODUCERS)


@pytest.mark.parametrize("event", silence.EVENTS)
def test_each_worker_goes_on_and_then_returns_to_the_best(event: str, measured: list[dict[str, Any]]) -> None:
    before = prove()
    measured.append(silence.measure(event))
    prove(before)
    changes = {worker: heard["changes"] for worker, heard in measured[-1]["workers"].items()}
    assert sorted(changes) == workers()
    assert all(count <= MOST_CHANGES[event] for count in changes.values()), changes
    wait_served_by_the_best_of(PRODUCERS)


def test_each_worker_tells_how_long_it_was_interrupted_and_why() -> None:
    for worker in workers():
        told = link(worker)["interruptions"]
        by_cause = Counter(each["cause"] for each in told["last"])
        cluster.log.info(
            "%s: longest %.3f s, in all %.3f s, %s", worker, told["longest"], told["total"], dict(by_cause)
        )
        assert told["current"] is None, told
        assert sum(by_cause.values()) == told["count"], told
        assert by_cause["shutdown"] >= 1, told  # all producers were restarted
        assert set(by_cause) <= {"shutdown", "cut", "timeout", "hand-over"}, told


def test_no_producer_has_taken_a_stream_from_another() -> None:
    for pod in pods():
        assert [line for line in cluster.logs(pod) if line.get("reason") == "takeover"] == []


def test_no_log_warns_of_a_shared_name() -> None:
    for producer in PRODUCERS:
        assert [line for line in cluster.logs(producer) if line["event"] == "producer.name_shared"] == []


def test_every_producer_can_be_scraped() -> None:
    targets = [(pod["status"]["podIP"], 9001) for pod in pods("producer").values()]
    with cluster.other_namespace("randstream-strangers") as strangers:
        assert cluster.attempts(SCRAPER, *targets, namespace=strangers) == [True] * len(PRODUCERS)
        assert cluster.attempts({}, *targets, namespace=strangers) == [False] * len(PRODUCERS)


def test_with_fewer_producers_those_that_stay_serve_all() -> None:
    before = prove()
    make("scale-producers", "N=1")
    before = prove(before)
    until(lambda: set(served().values()) == {"producer-0"}, "the one that is left serves all")
    make("scale-producers", "N=3")
    prove(before)
    wait_served_by_the_best_of(PRODUCERS)


def test_clean_leaves_nothing() -> None:
    built = cluster.image()
    volumes = {each["spec"]["volumeName"] for each in objects("persistentvolumeclaims")}
    assert volumes
    make("clean")
    assert not kubectl("get", "namespace", NAMESPACE, "--ignore-not-found")
    until(lambda: not kubectl("get", "persistentvolume", *volumes, "--ignore-not-found"), "the volumes are gone")
    assert not kubectl("get", "all", "--all-namespaces", OURS, "--output=name")
    assert not cluster.run("docker", "images", "--quiet", built).stdout
    again = make("clean")
    assert "nothing is deployed" in again.stdout
