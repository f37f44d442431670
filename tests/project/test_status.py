"""deploy/status.py and streams.py: what is shown of streams, and what is not right. Needs no cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.project.scripts import load
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

cluster = load("cluster")
status = load("status")
streams = load("streams")

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def a_worker(**link: Any) -> dict[str, Any]:
    """What a worker tells of itself."""
    told = {
        "worker": "worker-0", "peer": "producer-0", "state": "streaming", "error": None, "served_by": "producer-0",
        "standbys": [{"producer": "producer-1"}], "offset": 42, "acked_offset": 40, **link,
    }  # fmt: skip
    return {
        "role": "worker", "problem": None, "warning": None, "links": [told], "totals": {"numbers": 42},
        "uptime": 9.0, "rate": 9.97, "last": ["7", "12"], "disk": [100, 50, 50],
    }  # fmt: skip


def wrong(**changed: Any) -> list[str]:
    return list(status.wrong_with_worker(a_worker() | changed, 2))


# ---- streams ---------------------------------------------------------------------------------------------------------


def test_the_table_shows_where_each_stream_is_and_its_last_numbers() -> None:
    failed = {"failed": "no such pod"}
    assert streams.table({"worker-0": a_worker(), "worker-1": failed}).splitlines() == [
        "worker    offset  rate  producer    last numbers",
        "worker-0      42  10/s  producer-0  7 12",
        "worker-1                            cannot tell: no such pod",
    ]


def test_a_table_of_many_workers_fits_a_screen() -> None:
    shown = streams.table({f"worker-{number}": a_worker() for number in range(100)}).splitlines()
    assert len(shown) == streams.MOST_ROWS + 2
    assert shown[-1] == "and 88 more: make status"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (a_worker(), None),
        (a_worker(state="waiting", error="no producer"), "waiting, no producer"),
        (a_worker(acked_offset=0) | {"totals": {"numbers": 0}}, "no number yet"),
        (a_worker(acked_offset=0) | {"totals": {"numbers": 0}, "uptime": 999.0}, None),
        ({"failed": "no such pod"}, "no such pod"),
    ],
)
def test_numbers_flow_or_it_is_known_why_not(told: dict[str, Any], why: str | None) -> None:
    assert streams.why_still(told) == why


def test_the_wait_ends_when_numbers_flow_and_says_what_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [a_worker(state="waiting"), a_worker(state="opening"), a_worker()]
    monkeypatch.setattr(cluster, "get", lambda kinds: [])
    monkeypatch.setattr(cluster, "pods_of", lambda component, objects: [f"{component}-0"])
    monkeypatch.setattr(streams, "look", lambda pods: {pods[0]: answers.pop(0)})
    monkeypatch.setattr(streams, "PAUSE_SECONDS", 0)
    streams.wait()
    assert answers == []
    assert "worker-0      42" in capsys.readouterr().out
    answers.append(a_worker(state="waiting"))
    monkeypatch.setattr(streams, "FLOW_SECONDS", -1)
    with pytest.raises(cluster.Failed, match=r"^No numbers reach 1 of 1 workers, such as worker-0: waiting\."):
        streams.wait()


@pytest.mark.kernel
@pytest.mark.parametrize("has_store", [True, False])
def test_a_look_finds_the_rate_and_the_last_numbers_of_a_real_worker(has_store: bool, tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    store = tmp_path / "store"
    sink = ["--store", str(store)] if has_store else ["--discard"]
    worker = ["worker", "--name=worker-0", f"--listen=127.0.0.1:{port}", f"--admin=127.0.0.1:{admin}", *sink]
    producer = ["producer", "--seed=42", "--rate=100", f"--workers=127.0.0.1:{port}"]
    code = streams.LOOK.replace("9001", str(admin))
    assert code != streams.LOOK
    environment = {"RANDSTREAM_STORE": str(store)} if has_store else {}
    told: dict[str, Any] = {}
    with started(worker), started(producer):
        deadline = time.monotonic() + PATIENCE
        while not (told.get("last") and told["rate"]) and time.monotonic() < deadline:
            command = [sys.executable, "-c", code]
            looked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            told = json.loads(looked.stdout or "{}")
    assert told["rate"] > 0
    assert all(1 <= int(number) <= 100 for number in told["last"])
    assert ("disk" in told) == has_store


@contextmanager
def started(arguments: list[str]) -> Iterator[None]:
    """A role as a process."""
    command = [sys.executable, "-m", "randstream", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


# ---- what is not right -----------------------------------------------------------------------------------------------


def test_a_worker_that_streams_with_a_standby_is_right() -> None:
    assert wrong() == []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"problem": "no space"}, "no space"),
        ({"warning": "another stream"}, "another stream"),
        (a_worker(state="waiting", error="cut"), "its stream stands still (waiting): cut"),
        (a_worker(state="waiting", error="cut", reason="disk full"), "its stream stands still (waiting): disk full"),
        (a_worker(standbys=[]), "only 0 of 1 producers stand by"),
        ({"disk": [2**30, 1000 * 2**20, 24 * 2**20]}, "its volume is 98% full, 24 MiB are free"),
    ],
)
def test_what_is_wrong_with_a_worker_is_told(changed: dict[str, Any], told: str) -> None:
    assert wrong(**changed) == [told]


def test_a_producer_names_the_workers_that_it_does_not_reach() -> None:
    links = [
        {"worker": None, "peer": "a:9000", "state": "waiting", "error": "refused"},
        {"worker": "b", "peer": "b:9000", "state": "standby", "error": "x"},
        {"worker": "c", "peer": "c:9000", "state": "dialling", "error": None},
        {"worker": "left", "peer": "d:9000", "state": "waiting", "error": "x"},
    ]
    told = {"problem": None, "warning": None, "links": links}
    found = list(status.wrong_with_producer(told, {"b", "c"}))
    assert found == ["it does not reach a:9000: refused", "it does not reach c"]


@pytest.mark.parametrize(("finished", "count"), [("11:55:00", 1), ("10:55:00", 0)])
def test_a_container_that_was_restarted_lately_is_told(finished: str, count: int) -> None:
    ended = {"finishedAt": f"2026-11-29T{finished}Z", "reason": "OOMKilled", "exitCode": 137}
    container = {"restartCount": 2, "ready": True, "state": {"running": {}}, "lastState": {"terminated": ended}}
    told = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [container]}
    found = list(status.wrong_with_pods([{"kind": "Pod", "metadata": {"name": "worker-0"}, "status": told}], NOW))
    assert len(found) == count
    for each in found:
        assert each.startswith("pod worker-0: restarted 2 ×, last 5 min ago (OOMKilled, status 137): kubectl")


@pytest.mark.parametrize(
    ("annotations", "version", "told"),
    [
        ({"randstream.io/seed-version": "1"}, "1", []),
        ({}, "1", []),
        ({"randstream.io/seed-version": "1"}, "2", ["the Secret randstream-seed has changed since"]),
        ({"randstream.io/seed-version": "1"}, "", ["the Secret randstream-seed is missing"]),
    ],
)
def test_a_seed_that_is_gone_or_not_in_use_yet_is_told(
    annotations: dict[str, str], version: str, told: list[str]
) -> None:
    template = {"metadata": {"annotations": annotations}}
    producer = {"kind": "StatefulSet", "metadata": {"name": "producer"}, "spec": {"template": template}}
    found = list(status.wrong_with_seed([producer], version))
    assert [each[: len(start)] for each, start in zip(found, told, strict=True)] == told


def test_volumes_of_workers_that_are_gone_are_named_and_are_no_fault() -> None:
    claims = [{"metadata": {"name": f"data-worker-{n}"}, "status": {"phase": "Bound"}} for n in range(4)]
    workers = {"kind": "StatefulSet", "metadata": {"name": "worker"}, "spec": {"replicas": 2}}
    assert list(status.wrong_with_volumes(claims)) == []
    [note] = status.notes_on_volumes(claims, [workers])
    assert ": data-worker-2, data-worker-3 (" in note


def test_a_claim_without_a_volume_is_told_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "last_warning", lambda name: f"no class for {name}")
    claim = {"metadata": {"name": "data-worker-0"}, "status": {"phase": "Pending"}}
    [told] = status.wrong_with_volumes([claim])
    assert told == "volume claim data-worker-0: Pending: no class for data-worker-0"


# ---- the whole -------------------------------------------------------------------------------------------------------


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Shows the status of one worker that tells this."""
    ready = [{"type": "Ready", "status": "True"}]
    metadata = {"name": "worker-0", "labels": {"app.kubernetes.io/component": "worker"}}
    pod = {"kind": "Pod", "metadata": metadata, "status": {"phase": "Running", "conditions": ready}}

    def show(told: dict[str, Any]) -> int:
        monkeypatch.setattr(cluster, "get_deployed", lambda kinds: [pod])
        monkeypatch.setattr(cluster, "kubectl", lambda *asked: '{"items": []}' if asked[-1] == "--output=json" else "1")
        monkeypatch.setattr(streams, "look", lambda pods: {"worker-0": told})
        monkeypatch.setattr(status, "AGAIN_SECONDS", 0)
        shown: int = status.main()
        return shown

    return show


def test_the_exit_status_tells_whether_all_is_well(
    show: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(a_worker()) == 0
    assert capsys.readouterr().out.endswith("\nall is well\n")
    assert show(a_worker() | {"problem": "no space"}) == 1
    assert capsys.readouterr().err == "worker-0: no space\n"
