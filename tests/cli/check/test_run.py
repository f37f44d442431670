"""The check command as it is run: what it refuses before it begins, its files, its signals, terminals and pipes."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.lines import Run
from tests.support.ports import free_port
from tests.support.processes import Process, processes
from tests.support.waiting import PATIENCE

from randstream.cli.check import check as module

Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    with processes() as start:
        yield start


@pytest.fixture
def worker(start: Start) -> str:
    """The address of a worker in a process of its own."""
    process = start("worker", "--name", "w", "--listen", "127.0.0.1:0", "--discard")
    address: str = process.wait_event("worker.listening")["address"]
    return address


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A target that notices whoever dials it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def target_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


def assert_nobody_dialled(listener: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        listener.accept()


# ---- what it refuses before it begins --------------------------------------------------------------------------------


def test_a_command_that_is_not_there(refusal: Callable[..., str], listener: socket.socket, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("older")
    said = refusal("check", "--workers", target_of(listener), "--report", str(report), "--", "no-such-program", "-x")
    assert said == "-- no-such-program: there is no such program; give its path, or install it"
    assert_nobody_dialled(listener)
    assert report.read_text() == "older"


def test_seconds_with_a_command(refusal: Callable[..., str]) -> None:
    assert "--seconds and -- COMMAND are both given" in refusal(
        "check", "--workers", "a", "--seconds", "5", "--", "true"
    )


@pytest.mark.parametrize("option", ["--report", "--junit"])
@pytest.mark.parametrize("name", ["no/such/folder/file", "."])
def test_a_file_that_cannot_be_written(
    refusal: Callable[..., str], listener: socket.socket, tmp_path: Path, option: str, name: str
) -> None:
    path = str(tmp_path / name)
    said = refusal("check", "--workers", target_of(listener), option, path)
    assert said.startswith(f"{option} {path}: ")
    assert said.endswith("; name a file that can be written")
    assert_nobody_dialled(listener)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "again"), [("-", "-"), ("file", "file"), ("file", "./file"), ("file", "link")])
def test_one_file_for_both_reports(
    refusal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, again: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("file")
    said = refusal("check", "--workers", "a", "--report", path, "--junit", again)
    assert said == f"--report and --junit are both {path}; name two files"


@pytest.mark.parametrize("option", ["--report", "--junit"])
def test_a_file_without_a_name(refusal: Callable[..., str], option: str) -> None:
    said = refusal("check", "--workers", "a", option, "")
    assert said == f"{option} '': no file is named; name a file that can be written"


def test_a_command_without_a_name(refusal: Callable[..., str]) -> None:
    said = refusal("check", "--workers", "a", "--", "")
    assert said == "-- '': there is no such program; give its path, or install it"


def test_no_time_at_all(refusal: Callable[..., str]) -> None:
    assert (
        refusal("check", "--workers", "a", "--seconds", "0ms")
        == "--seconds 0: nothing can be seen in no time; give more"
    )


def test_raw_peers(refusal: Callable[..., str]) -> None:
    said = refusal("check", "--workers", "a,raw://b:9000")
    assert said == "raw://b:9000: a raw peer acknowledges nothing, so nothing can be checked there"


@pytest.mark.parametrize("value", ["-1", "soon", "nan", "inf"])
@pytest.mark.parametrize("option", ["--seconds", "--max-interruption", "--max-total", "--settle"])
def test_what_is_no_duration(refusal: Callable[..., str], option: str, value: str) -> None:
    assert "give seconds" in refusal("check", "--workers", "a", option, value)


def test_no_workers(refusal: Callable[..., str]) -> None:
    assert "--workers" in refusal("check")


def test_nobody_reached_is_exit_status_1_with_a_report(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "REACH_SECONDS", 0.2)
    target = f"127.0.0.1:{free_port()}"
    report, junit = tmp_path / "report.json", tmp_path / "junit.xml"
    files = ["--report", str(report), "--junit", str(junit)]
    status, out, _ = run("check", "--workers", target, *files, "--", "touch", str(tmp_path / "touched"))
    assert status == 1
    assert f"not reached within 0 s: {target}" in out
    assert out.splitlines()[-1].startswith(f"FAILED: 1 of 1 link outside the limits: {target}: not reached: conn")
    assert json.loads(report.read_bytes())["passed"] is False
    assert ElementTree.parse(junit).getroot().get("failures") == "1"
    assert not (tmp_path / "touched").exists()


# ---- real processes --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_command_runs_meanwhile_and_its_status_is_kept(start: Start, worker: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    check = start(
        "check", "--workers", worker, "--settle", "0", "--max-interruption", "60", "--max-total", "60",
        "--heartbeat", "1", "--report", str(report), "--", "sh", "-c", "echo hello from it; exit 7",
    )  # fmt: skip
    assert check.wait() == 7, check.log
    assert b"hello from it" in check.out
    assert b"but the command failed: exit status 7 after " in check.out
    told = json.loads(report.read_bytes())
    assert (told["schema"], told["passed"], told["command"]["status"]) == ("randstream-check/1", True, 7)
    assert told["links"][0]["worker"] == "w"
    assert {path.name for path in tmp_path.iterdir()} == {"report.json"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_report(start: Start, worker: str, tmp_path: Path, number: int) -> None:
    report = tmp_path / "report.json"
    check = start(
        "check", "--workers", worker, "--heartbeat", "1", "--max-interruption", "60", "--max-total", "60",
        "--report", str(report),
    )  # fmt: skip
    check.wait_out(lambda out: b"w reached at" in out)
    assert check.end(number) == 0
    assert json.loads(report.read_bytes())["links"][0]["problem"] is None
    assert b"PASSED" in check.out


@pytest.mark.slow
def test_a_command_gets_sigterm_and_the_second_signal_ends_everything_at_once(
    start: Start, worker: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    report.write_text("older")
    code = (
        "import os, signal\n"  # os.write: a handler may come in the middle of a print, which takes no second one
        "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'got SIGTERM\\n'))\n"
        "os.write(1, b'pid %d\\n' % os.getpid())\n"
        "while True: signal.pause()"
    )
    script = tmp_path / "script"
    script.write_text(code)
    check = start("check", "--workers", worker, "--report", str(report), "--", sys.executable, str(script))
    out = check.wait_out(lambda out: out.partition(b"pid ")[2].count(b"\n"))
    pid = int(out.partition(b"pid ")[2].split()[0])
    check.popen.send_signal(signal.SIGTERM)
    check.wait_out(lambda out: b"got SIGTERM" in out)
    assert check.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert report.read_text() == "older"
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "script"}
    deadline = time.monotonic() + PATIENCE
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_a_worker_that_is_served_is_exit_status_2_by_name(start: Start, worker: str) -> None:
    producer = start("producer", "--workers", worker, "--name", "owner")
    producer.wait_event("link.resumed")
    check = start("check", "--workers", worker)
    assert check.wait() == 2
    (line,) = [each["event"].decode() for each in check.log]
    assert line.startswith(f"randstream: w at {worker} is served by owner, and a check takes no worker from another ")


@pytest.mark.slow
def test_a_reader_that_leaves_does_not_end_it(start: Start, worker: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    reader, writer = os.pipe()
    try:
        check = start("check", "--workers", worker, "--report", str(report), stdout=writer)
    finally:
        os.close(writer)
    with os.fdopen(reader, "rb") as lines:
        assert b"reached" in lines.readline()
    assert check.end(signal.SIGTERM) in (0, 1)
    assert json.loads(report.read_bytes())["schema"] == "randstream-check/1"
    assert check.log == []


@pytest.mark.slow
def test_a_report_on_standard_output_is_all_there_is(start: Start, worker: str) -> None:
    check = start("check", "--workers", worker, "--seconds", "0.1", "--report", "-")
    assert check.wait() in (0, 1)
    report = json.loads(check.out)
    assert report["links"][0]["worker"] == "w"
    assert report["settings"]["producer"] == f"check-{socket.gethostname()}"  # whoever waits behind it sees what it is
    assert any(b"PASSED" in each["event"] or b"FAILED" in each["event"] for each in check.log)


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_reaches_the_command_once(worker: str, tmp_path: Path) -> None:
    report, heard = tmp_path / "report.json", tmp_path / "heard"
    code = (
        "import signal, sys, time\n"
        "def hear(*_):\n"
        f"    open({str(heard)!r}, 'a').write('x')\n"
        "    sys.exit(5)\n"
        "signal.signal(signal.SIGINT, hear)\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()"
    )
    command = ["check", "--workers", worker, "--heartbeat", "1", "--max-interruption", "60", "--max-total", "60"]
    script = tmp_path / "script"
    script.write_text(code)
    program = [sys.executable, str(script)]
    pid, fd = pty.fork()
    if not pid:
        os.execv(
            sys.executable,
            [sys.executable, "-m", "randstream", *command, "--report", str(report), "--", *program],
        )
    read_until(fd, b"ready")
    os.write(fd, b"\x03")
    out = read_until(fd, b"PASSED")
    read_until(fd, None)
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert b"exit status 5" in out
    assert heard.read_text() == "x"
    assert json.loads(report.read_bytes())["command"]["status"] == 5


@pytest.mark.slow
def test_a_terminal_shows_a_table_until_ctrl_c(worker: str) -> None:
    pid, fd = pty.fork()
    if not pid:
        os.environ.update(TERM="xterm", COLUMNS="60", LINES="20")
        os.execv(
            sys.executable,
            [sys.executable, "-m", "randstream", "check", "--workers", worker, "--heartbeat", "1", "--max-total", "60"],
        )
    out = read_until(fd, b"until Ctrl-C")
    os.write(fd, b"\x03")
    out += read_until(fd, None)
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (0, 1)
    assert b"interruptions" in out
    assert b" sent, " in out
    assert out.count(b"\x1b[?25l") == out.count(b"\x1b[?25h")  # the cursor is back


@pytest.mark.slow
def test_a_producer_and_a_worker_on_a_terminal_end_with_a_summary(start: Start) -> None:
    address = f"127.0.0.1:{free_port()}"
    pid, fd = pty.fork()
    if not pid:
        os.execv(
            sys.executable,
            [sys.executable, "-m", "randstream", "worker", "--name", "w", "--listen", address, "--discard"],
        )
    try:
        read_until(fd, b"worker.listening")
        producer = start("producer", "--workers", address)
        producer.wait_event("link.resumed")
        assert producer.end() == 0
        assert not any(b"---" in each["event"] for each in producer.log if isinstance(each["event"], bytes))
        os.kill(pid, signal.SIGTERM)
        out = read_until(fd, None)
    finally:
        os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"--- w\r\n" in out
    assert re.search(rb"\d numbers? received, ", out)


def read_until(fd: int, text: bytes | None) -> bytes:
    """What a terminal shows, up to `text`; None: to its end."""
    out = b""
    while text is None or text not in out:
        try:
            data = os.read(fd, 2**16)
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            assert text is None, out
            break
        out += data
    return out
