"""deploy/logs.py and lines.py: logs of several pods in order of time, for people and for machines. Needs no cluster."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.project.scripts import load

cluster = load("cluster")
lines = load("lines")
logs = load("logs")

KUBECTL = """#!/bin/sh
cd {folder}
case $2 in
get) cat pods ;;
logs) echo "$*" >>asked; for pod in *.log; do case " $* " in *" ${{pod%.log}} "*) cat "$pod" ;; esac; done ;;
esac
"""
"""It has pods, and their logs, and keeps what it was asked for."""


def line(seconds: int, text: str = "x") -> Any:
    return lines.Line((seconds, 0), "worker-0", text)


def a_pod(name: str, *, uid: str = "u", restarts: int = 0, **state: Any) -> dict[str, Any]:
    status = {"restartCount": restarts, "state": state or {"running": {}}}
    return {"kind": "Pod", "metadata": {"name": name, "uid": uid}, "status": {"containerStatuses": [status]}}


# ---- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("2026-11-29T00:00:01.000000002Z", (1795910401, 2)),
        ("2026-11-29T00:00:01.5Z", (1795910401, 500_000_000)),
        ("2026-11-29T02:00:01.25+02:00", (1795910401, 250_000_000)),
        ("2026-11-29T00:00:01Z", (1795910401, 0)),
    ],
)
def test_a_line_has_the_time_that_the_node_gave_it(stamp: str, moment: tuple[int, int]) -> None:
    assert lines.parse("worker-0", f"{stamp} some text\n") == (moment, "worker-0", "some text", moment)


def test_an_event_happened_when_it_says_not_when_it_was_written() -> None:
    event = '{"timestamp":"2026-11-29T00:00:01.5Z","level":"info"}'
    line = lines.parse("worker-0", f"2026-11-29T00:00:02Z {event}\n")
    assert (line.moment, line.written) == ((1795910401, 500_000_000), (1795910402, 0))


def test_what_kubectl_says_itself_is_no_line() -> None:
    assert lines.parse("worker-0", "unable to retrieve container logs\n") is None


def test_an_event_is_one_line_without_what_the_line_says_already() -> None:
    event = {
        "timestamp": "t", "level": "warning", "event": "link.lost", "worker": "worker-0", "reason": "cut",
        "error": 'it is "gone"', "after": 1.50004, "line": None,
    }  # fmt: skip
    told = lines.describe(event, "worker-0")
    assert told == r'WARNING link.lost reason=cut error="it is \"gone\"" after=1.5 line=null'


def test_no_text_of_a_log_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    printer = lines.Printer(8, as_json=False)
    printer.print(line(1, "\033[2Jhe\u202ello"))
    printer.print(line(1, json.dumps({"level": "info", "event": "e\033[2J", "error": "\033[2J\u202e\u009b"})))
    shown = capsys.readouterr().out
    assert all(each.isprintable() for each in shown.replace("\n", ""))


def test_for_machines_every_line_is_json_with_its_pod(capsys: pytest.CaptureFixture[str]) -> None:
    printer = lines.Printer(8, as_json=True)
    printer.print(line(1, '{"level": "info", "event": "e"}'))
    printer.print(line(1, "Traceback:"))
    assert [json.loads(each) for each in capsys.readouterr().out.splitlines()] == [
        {"pod": "worker-0", "level": "info", "event": "e"}, {"pod": "worker-0", "line": "Traceback:"},
    ]  # fmt: skip


# ---- their order -----------------------------------------------------------------------------------------------------


def test_lines_come_out_in_order_of_time_each_after_a_moment() -> None:
    merge = logs.Merge(0.0)
    for seconds, now in ((12, 10.0), (11, 10.1), (13, 10.9)):
        merge.add(line(seconds), now)
    assert merge.take(10.5) == []
    assert merge.take(11.0) == [line(11), line(12)]  # the earlier one waits no longer than the later one
    assert merge.take(11.8) == []
    assert merge.take(12.0) == [line(13)]


def test_lines_of_one_moment_keep_their_order() -> None:
    merge = logs.Merge(0.0)
    texts = [line(1, text) for text in "cab"]
    for each in texts:
        merge.add(each, 10.0)
    assert merge.take(11.0) == texts


def test_the_first_lines_wait_for_pods_that_are_slow_to_speak() -> None:
    merge = logs.Merge(0.0)
    merge.add(line(5), 0.125)
    assert merge.take(2.0) == []
    merge.add(line(4), 2.5)
    assert merge.take(3.5) == [line(4), line(5)]
    quick = logs.Merge(0.0)
    quick.add(line(5), 0.125)
    assert quick.take(1.25, all_spoke=True) == [line(5)]


# ---- pods that come and go -------------------------------------------------------------------------------------------


def test_a_pod_has_a_log_as_soon_as_its_container_has_run() -> None:
    objects = [a_pod("a"), a_pod("b", waiting={}), a_pod("c", waiting={}, restarts=2), a_pod("d", terminated={})]
    assert logs.runs_of(objects) == [("a", "u", 0), ("c", "u", 2), ("d", "u", 0)]


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a stand-in for kubectl finds pods and logs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kubectl").write_text(KUBECTL.format(folder=tmp_path))
    (tmp_path / "bin" / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(logs, "signal", lambda *_: None)
    return tmp_path


def test_a_pod_and_the_one_that_replaces_it_are_both_followed_and_no_line_comes_twice(
    kubectl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[str] = []

    class Over(Exception):
        pass

    class Printer:
        def print(self, line: Any) -> None:
            printed.append(line.text)
            if line.text == "three":
                raise Over

    def replace() -> None:
        """Once the first log was read again, to its end, there is another pod of that name."""
        while not (kubectl / "asked").exists() or (kubectl / "asked").read_text().count("--since-time") < 2:
            time.sleep(0.01)
        (kubectl / "worker-0.log").write_text("2026-11-29T00:00:09.0Z three\n")
        (kubectl / "new").write_text(json.dumps({"items": [a_pod("worker-0", uid="v")]}))
        (kubectl / "new").rename(kubectl / "pods")

    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(logs, "HOLD_SECONDS", 0.0)
    (kubectl / "pods").write_text(json.dumps({"items": [a_pod("worker-0")]}))
    (kubectl / "worker-0.log").write_text("2026-11-29T00:00:01.0Z one\n2026-11-29T00:00:01.5Z two\n")
    thread = Thread(target=replace)
    thread.start()
    with pytest.raises(Over):
        logs.Followed(Printer(), 7).run()
    thread.join()
    assert printed == ["one", "two", "three"]
    assert "--tail=7" in (kubectl / "asked").read_text().splitlines()[0]


def test_once_shows_what_there_is_in_order(kubectl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (kubectl / "pods").write_text(json.dumps({"items": [a_pod("worker-0"), a_pod("worker-1")]}))
    (kubectl / "worker-0.log").write_text("2026-11-29T00:00:01.0Z one\n2026-11-29T00:00:03.0Z three\n")
    (kubectl / "worker-1.log").write_text("2026-11-29T00:00:02.0Z two\n")
    assert logs.main(["--once", "--json"]) == 0
    assert [json.loads(each)["line"] for each in capsys.readouterr().out.splitlines()] == ["one", "two", "three"]
