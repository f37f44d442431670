"""Logs: every event is a line, and no line blocks anything."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import pty
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
import uvloop

from randstream.observe import logs
from randstream.observe.logs import LineWriter, flush_logs, set_up_logs
from randstream.observe.throttle import LINES_A_MINUTE

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Pipe:
    """The smallest pipe there is, so that it is soon full."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)

    def read(self) -> str:
        return os.read(self.reading, 2**20).decode()

    def read_until(self, is_enough: Callable[[str], bool]) -> str:
        text = self.read()
        while not is_enough(text):
            text += self.read()
        return text


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    for fd in (pipe.reading, pipe.writing):
        os.close(fd)


@pytest.fixture
def said(pipe: Pipe, own_logs: None) -> Callable[[], list[dict[str, Any]]]:
    """What was logged so far."""
    set_up_logs("info", fd=pipe.writing)

    def said() -> list[dict[str, Any]]:
        flush_logs()
        return [json.loads(line) for line in pipe.read().splitlines()]

    return said


def never(count: int) -> None:
    raise AssertionError(f"{count} lines were left out")


# ---- the writer ----


def test_lines_are_written_whole_and_in_order(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, never)
    for n in range(100):
        writer.write(f"line {n}")
    assert writer.flush()
    assert pipe.read().splitlines() == [f"line {n}" for n in range(100)]


def test_a_flush_with_nothing_to_write_is_over_at_once(pipe: Pipe) -> None:
    assert LineWriter(pipe.writing, never).flush(seconds=0)


def test_a_flush_is_not_over_while_a_line_is_being_written(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, never)
    writer.write("x" * 20_000)
    pipe.read()
    assert not writer.flush(seconds=0)
    pipe.read_until(lambda text: text.endswith("\n"))
    assert writer.flush()


def test_a_stuck_reader_blocks_no_write_and_every_line_is_written_or_counted(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "QUEUE_LINES", 10)
    writer = LineWriter(pipe.writing, lambda count: writer.write(f"left out {count}"))
    for _ in range(100):
        writer.write("x" * 10_000)  # more than the pipe takes: nothing reads it yet
    assert not writer.flush(seconds=0)
    text = pipe.read_until(lambda text: "left out" in text and text.endswith("\n"))
    while not writer.flush(seconds=0.05):
        text += pipe.read()
    lines = text.splitlines()
    told = [int(line.removeprefix("left out ")) for line in lines if line.startswith("left out")]
    assert lines.count("x" * 10_000) + sum(told) == 100
    assert sum(told) >= 80


def test_there_is_room_for_the_count_of_lines_left_out(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUE_LINES", 1)
    writer = LineWriter(pipe.writing, lambda count: writer.write(f"left out {count}"))
    for _ in range(9):
        writer.write("x" * 10_000)
    assert "left out" in pipe.read_until(lambda text: text.endswith("\n") and "left out" in text)


def test_a_reader_that_has_gone_does_not_block_the_writer(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, never)
    os.close(pipe.reading)
    try:
        writer.write("unheard")
        assert writer.flush()
        writer.write("unheard")
        assert writer.flush()
    finally:
        pipe.reading = os.dup(pipe.writing)


def test_nothing_is_lost_to_a_descriptor_that_does_not_block(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    writer = LineWriter(pipe.writing, never)
    writer.write("x" * 2**20 + "end")
    assert len(pipe.read_until(lambda text: text.endswith("end\n"))) == 2**20 + 4
    assert writer.flush()


def test_a_line_that_is_not_utf_8_is_escaped(pipe: Pipe) -> None:
    writer = LineWriter(pipe.writing, never)
    writer.write("caf\udce9")
    assert writer.flush()
    assert pipe.read() == "caf\\udce9\n"


# ---- JSON ----


def test_an_event_is_a_json_line_with_time_level_and_event_first(said: Callable[[], Any], pipe: Pipe) -> None:
    structlog.get_logger("randstream").bind(worker="worker-0").warning("link.lost", offset=42)
    flush_logs()
    line = pipe.read()
    assert list(json.loads(line).items())[1:] == [
        ("level", "warning"), ("event", "link.lost"), ("worker", "worker-0"), ("offset", 42),
    ]  # fmt: skip
    assert line.startswith('{"timestamp":"20')
    assert line.endswith("}\n")


def test_events_below_the_level_are_not_logged(said: Callable[[], Any]) -> None:
    log = structlog.get_logger("randstream")
    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)(f"at.{level}")
    assert [line["event"] for line in said()] == ["at.info", "at.warning", "at.error"]


@pytest.mark.parametrize("value", [2**70, "caf\udce9", {("a", 1): object()}, {1: 2}, b"\xff", float("nan")])
def test_a_value_that_json_cannot_express_is_logged_anyway(value: Any, said: Callable[[], Any]) -> None:
    structlog.get_logger("randstream").info("odd", value=value)
    [line] = said()
    assert line["event"] == "odd"
    assert "value" in line


def test_a_traceback_is_part_of_the_line(said: Callable[[], Any]) -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("randstream").exception("service.failed")
    [line] = said()
    assert line["exception"].endswith("ValueError: broken")


def test_left_out_lines_are_reported_as_an_event(pipe: Pipe, own_logs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUE_LINES", 2)
    set_up_logs("info", fd=pipe.writing)
    log = structlog.get_logger("randstream")
    for _ in range(20):
        log.info("long", text="x" * 10_000)

    def told(text: str) -> int:
        lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return sum(line.get("count", 1) for line in lines)

    text = pipe.read_until(lambda text: told(text) == 20)
    assert '"level":"warning","event":"log.lines_left_out"' in text


# ---- the standard library's ----


@pytest.mark.parametrize("new_loop", LOOPS)
def test_a_complaint_of_the_loop_is_a_json_line(new_loop: Any, said: Callable[[], Any]) -> None:
    async def complain() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "odd", "exception": ValueError("broken")})

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(complain())
    [line] = said()
    assert (line["level"], line["event"], line["logger"]) == ("error", "library.message", "asyncio")
    assert line["message"].startswith("odd")
    assert "ValueError: broken" in line["exception"]


def test_only_warnings_and_errors_of_libraries_are_logged(pipe: Pipe, own_logs: None) -> None:
    set_up_logs("debug", fd=pipe.writing)
    logger = logging.getLogger("library")
    logger.info("all is well")
    logger.log(35, "odd")
    flush_logs()
    line = json.loads(pipe.read())
    assert (line["level"], line["message"]) == ("warning", "odd")


def test_libraries_are_held_to_the_level_too(pipe: Pipe, own_logs: None) -> None:
    set_up_logs("error", fd=pipe.writing)
    logging.getLogger("library").warning("odd")
    logging.getLogger("library").error("broken")
    flush_logs()
    assert json.loads(pipe.read())["message"] == "broken"


def test_a_warning_is_a_json_line(said: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", stacklevel=1)
    [line] = said()
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "old" in line["message"]


def test_a_library_that_floods_says_so_many_lines_a_minute_and_hides_no_other(said: Callable[[], Any]) -> None:
    for number in range(1000):
        logging.getLogger("asyncio").error("socket.accept() out of system resource %d", number)
    logging.getLogger("other").error("broken")
    lines = said()
    assert [line["logger"] for line in lines] == ["asyncio"] * LINES_A_MINUTE + ["other"]


def test_a_library_that_logs_wrongly_breaks_nothing(
    said: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    [ours] = [handler for handler in logging.root.handlers if type(handler).__module__ == logs.__name__]
    ours.handle(logging.LogRecord("library", logging.WARNING, "here.py", 1, "%d", ("no number",), None))
    ours.handle(logging.LogRecord("library", logging.WARNING, "here.py", 2, "next", None, None))
    [line] = said()
    assert line["message"] == "next"
    assert "here.py" in capsys.readouterr().err


# ---- a terminal ----


@pytest.mark.parametrize("has_colours", [True, False])
def test_a_terminal_gets_colours_if_it_wants_them_and_no_values_of_local_variables(
    has_colours: bool, own_logs: None
) -> None:
    reading, writing = pty.openpty()
    try:
        set_up_logs("info", fd=writing, has_colours=has_colours)
        seed = "hunter2"
        try:
            raise ValueError(len(seed))
        except ValueError:
            structlog.get_logger("randstream").exception("service.failed", offset=42)
        flush_logs()
        text = os.read(reading, 2**16).decode()
    finally:
        os.close(writing)
        os.close(reading)
    assert ("\x1b" in text) is has_colours
    assert re.match(r"\S*\d\d:\d\d:\d\d\S* \[.*error.*service\.failed", text)
    assert "ValueError: 7" in text
    assert seed not in text


def test_flushing_before_logs_are_set_up_does_nothing() -> None:
    code = "from randstream.observe.logs import flush_logs; flush_logs()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
