"""The entry: exit codes, standard descriptors, and signals before a role handles them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.lines import SECRET, Run
from tests.cli.running import finish, start, wait_connected, wait_said

from randstream.cli import end_at_once_on_signals
from randstream.cli import entry as cli

SENDER = """
import atexit, os, sys
number, moment = map(os.environ.pop, ("SIGNAL", "MOMENT"))
def send(*event):
    if event in (("import", moment), ()):
        os.kill(os.getpid(), int(number))
if moment == "the end":
    atexit.register(send)
else:
    sys.addaudithook(lambda event, given: send(event, given[0] if given else None))
"""
"""A `sitecustomize` that sends a signal to its own process when a module is imported, or at the end."""


@pytest.fixture
def end_at(tmp_path: Path) -> Callable[..., tuple[int, bytes, str]]:
    """Runs a command line in a process that gets a signal at some moment."""
    (tmp_path / "sitecustomize.py").write_text(SENDER)

    def end_at(moment: str, number: signal.Signals, *arguments: str, **given: Any) -> tuple[int, bytes, str]:
        path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        variables = {**os.environ, "PYTHONPATH": path, "MOMENT": moment, "SIGNAL": str(int(number))}
        return finish(start(*arguments, env=variables, **given))

    return end_at


@pytest.mark.parametrize(
    ("moment", "arguments"),
    [
        ("click", "--help"),
        ("the end", "--version"),
        ("numpy", "numbers --seed 42 --worker w --count 0"),
        ("randstream.cli.verify", "verify ."),
        ("randstream.cli.demo", "demo"),
        ("structlog", "worker --discard"),
        ("uvloop", "producer --workers 127.0.0.1:1"),
        ("randstream.producer.producer", "check --workers 127.0.0.1:1"),
        ("asyncio", "conform worker 127.0.0.1:1"),
        ("rich.live", "top 127.0.0.1:1"),
    ],
)
def test_ctrl_c_before_a_command_runs_leaves_no_traceback(
    moment: str, arguments: str, end_at: Callable[..., tuple[int, bytes, str]]
) -> None:
    status, _, err = end_at(moment, signal.SIGINT, *arguments.split())
    lines = [line for line in err.splitlines() if '"service.started"' not in line]
    assert (status, lines) == (130, [])


def test_sigterm_before_a_command_runs_leaves_no_traceback(end_at: Callable[..., tuple[int, bytes, str]]) -> None:
    assert end_at("structlog", signal.SIGTERM, "worker", "--discard") == (143, b"", "")


def test_a_ctrl_c_that_is_ignored_stays_ignored() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what a script starts in the background
    try:
        end_at_once_on_signals()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_ctrl_c_leaves_no_traceback_of_the_console_script_either(
    end_at: Callable[..., tuple[int, bytes, str]],
) -> None:
    script = str(Path(sys.executable).with_name("randstream"))
    assert end_at("click", signal.SIGINT, "--help", program=(script,)) == (130, b"", "")


def test_ctrl_c_exits_with_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("randstream.numbers.known_answers.check_known_answers", interrupt)
    assert run("numbers", "--worker=w", "--seed=1") == (130, "", "")


def test_a_closed_standard_output_is_refused(
    refusal: Callable[..., str], settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert cli.run(["numbers", "--worker=w", "--seed=1"]) == 2
        assert cli.run(["worker"]) == 2
        assert cli.run(["demo"]) == 2
        assert cli.run(["worker", "--discard"]) == 0


def test_the_console_script_completes() -> None:
    script = Path(sys.executable).with_name("randstream")
    variables = {**os.environ, "_RANDSTREAM_COMPLETE": "bash_source", "RANDSTREAM_BOGUS": "1"}
    done = subprocess.run([script], env=variables, capture_output=True, text=True, check=True)
    assert "complete -o nosort -F _randstream_completion randstream" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_cannot_be_written_is_refused(unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        arguments = ["numbers", "--seed", SECRET, "--worker", "w"] if unbuffered else ["--help"]
        process = start(*arguments, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
        status, _, err = finish(process)
    why = "cannot write to standard output: No space left on device; send it where there is room"
    assert (status, err) == (1, f"randstream: {why}\n")


def test_another_error_is_not_blamed_on_standard_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "/nope")

    monkeypatch.setattr("randstream.cli.verify.run_verify", fail)
    assert run("verify", ".") == (1, "", "randstream: /nope: Permission denied\n")


def test_logs_do_not_go_to_a_socket_when_standard_error_is_closed() -> None:
    closing = (
        "import os, sys; os.close(2); os.execv(sys.executable, [sys.executable, '-m', 'randstream', *sys.argv[1:]])"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"raw://127.0.0.1:{server.getsockname()[1]}"
        process = start("producer", "--workers", target, program=("-c", closing))
        peer, _ = server.accept()
        with peer:
            process.send_signal(signal.SIGTERM)
            received = b"".join(iter(lambda: peer.recv(2**16), b""))
        assert process.wait(20) == 0
    assert all(line.isdigit() for line in received.split())


@pytest.mark.parametrize("fd", [0, 1, 2])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_role_runs_and_ends_with_a_standard_descriptor_closed(fd: int, loop: str) -> None:
    closing = f"import os, sys; os.close({fd}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    arguments = "-m", "randstream", "worker", "--discard", "--accept-raw", "--loop", loop, "--listen"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start(*arguments, f"127.0.0.1:{port}", program=("-c", closing))
    if fd == 2:
        wait_connected(port)
    else:
        wait_said(process, "worker.listening")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_sigterm_ends_process_1_too_before_a_role_handles_it() -> None:
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )  # as the kernel does for process 1
    endless = "-m", "randstream", "numbers", "--seed", "42", "--worker", "w", "--count", str(10**15)
    process = start(*endless, program=("-c", ignoring))
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert (status, err) == (128 + signal.SIGTERM, "")
