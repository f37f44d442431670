"""One worker a node, and what `top` shows when a stream breaks: examples/continuity. Run the tests in order."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.e2e import cluster
from tests.e2e.cluster import kubectl, make, objects, pods, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

DAEMONSET = "OVERLAY=daemonset"


@pytest.fixture(scope="module", autouse=True)
def deployed() -> Iterator[None]:
    cluster.remove()
    make("all", DAEMONSET)
    yield
    cluster.remove()


@pytest.fixture(scope="module")
def nodes() -> list[str]:
    return sorted(node["metadata"]["name"] for node in objects("nodes"))


def top() -> str:
    return kubectl("exec", "producer-0", "--", "python", "-m", "randstream", "top", "127.0.0.1:9001")


def flowing() -> list[str]:
    """The workers whose streams flow, as `top` shows them."""
    return sorted(re.findall(r"^● (\S+) +streaming ", top(), re.MULTILINE))


def test_every_node_has_a_worker_of_its_name_and_its_stream_flows(nodes: list[str]) -> None:
    assert sorted(pod["spec"]["nodeName"] for pod in pods("worker").values()) == nodes
    until(lambda: flowing() == nodes, "all streams flow")


def test_top_names_the_node_whose_worker_died_and_its_stream_begins_anew(nodes: list[str]) -> None:
    pod, node = next((name, pod["spec"]["nodeName"]) for name, pod in pods("worker").items())
    cluster.delete_pods(pod, by_force=True)
    until(lambda: re.search(f"{re.escape(node)} (lost|closed): ", top()), "top reports it")  # closed: it said goodbye
    until(lambda: flowing() == nodes, "all streams flow again")
    [producer] = pods("producer")
    offsets = [
        line["offset"] for line in cluster.logs(producer) if line["event"] == "link.resumed" and line["worker"] == node
    ]
    assert offsets == [0, 0]  # a worker that discards remembers nothing, and the new pod's address is another target


def test_a_worker_that_cannot_be_reached_is_shown_by_its_address_until_it_can(nodes: list[str]) -> None:
    kubectl("delete", "networkpolicy", "worker")
    cluster.delete_pods(*pods("worker"))
    until(
        lambda: sorted(pod["status"].get("podIP", "") for pod in pods("worker").values())[0], "new pods have addresses"
    )
    unreached = ["○ " + pod["status"]["podIP"].replace(".", "-") for pod in pods("worker").values()]
    until(lambda: all(each in top() for each in unreached), "top shows them")
    assert flowing() == []
    make("deploy", DAEMONSET, cluster.tag())
    until(lambda: flowing() == nodes, "all streams flow again")


def test_the_workers_of_another_overlay_do_not_join_them() -> None:
    done = make("deploy", cluster.tag(), check=False)
    assert done.returncode != 0
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert line == "The DaemonSet worker of another overlay or version is there: make clean first."
