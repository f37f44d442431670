"""The program that a check runs, and what becomes of one that will not end. Real processes."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from pathlib import Path

import pytest
from tests.support.waiting import PATIENCE, until

from randstream.cli.check import program as module
from randstream.cli.check.program import Program, is_in_foreground
from randstream.cli.check.report import Command
from randstream.clock import Clock
from randstream.errors import SettingsError

pytestmark = pytest.mark.kernel


def a_program(*arguments: str) -> Program:
    return Program(arguments, Clock())


async def begun(program: Program) -> asyncio.Task[Command]:
    """Run it, and wait until it has a process."""
    running = asyncio.create_task(program.run())
    await until(lambda: program._child is not None or running.done())
    return running


def test_one_that_is_not_there_is_refused_before_anything_starts() -> None:
    with pytest.raises(SettingsError, match="-- no-such-program-here: there is no such program"):
        a_program("no-such-program-here")


def test_a_file_that_cannot_be_executed_is_not_said_to_be_missing(tmp_path: Path) -> None:
    script = tmp_path / "change.sh"
    script.write_text("#!/bin/sh")
    with pytest.raises(SettingsError, match="it cannot be executed; chmod"):
        a_program(str(script))


async def test_its_own_status_and_how_long_it_took() -> None:
    command = await a_program("sh", "-c", "exit 7").run()
    assert (command.arguments, command.status, command.signal) == (("sh", "-c", "exit 7"), 7, None)
    assert command.seconds >= 0.0
    assert command.outcome.startswith("exit status 7 after ")


async def test_one_that_a_signal_ended_has_the_status_that_a_shell_gives() -> None:
    command = await a_program("sh", "-c", "kill -KILL $$").run()
    assert (command.status, command.signal) == (137, "SIGKILL")
    assert command.outcome.startswith("was ended by SIGKILL, exit status 137 after ")


async def test_one_that_cannot_be_started_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(SettingsError, match="cannot run it: "):
        await a_program(str(script)).run()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_it_gets_the_signal(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", PATIENCE)  # no other follows it, however slow the machine is
    monkeypatch.setattr(module, "is_in_foreground", lambda: False)
    program = a_program("sleep", "1000")
    running = await begun(program)
    program.end(number)
    command = await running
    assert (command.status, command.signal) == (128 + number, number.name)


async def test_one_that_does_not_heed_it_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    stubborn = "import signal, sys; [signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; print(); signal.pause()"
    program = a_program(sys.executable, "-c", stubborn)
    running = await begun(program)
    await asyncio.sleep(0)
    program.end(signal.SIGTERM)
    assert (await running).signal in ("SIGKILL", "SIGTERM")  # SIGTERM: it was not ready to ignore it yet


async def test_one_in_the_foreground_had_the_ctrl_c_of_its_terminal_and_gets_no_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.05)
    monkeypatch.setattr(module, "is_in_foreground", lambda: True)
    program = a_program("sleep", "1000")
    running = await begun(program)
    program.end(signal.SIGINT)
    assert (await running).signal == "SIGTERM"  # after the grace period: nobody had pressed a key


async def test_one_that_is_told_to_end_while_it_is_started_is() -> None:
    program = a_program("sleep", "1000")
    running = asyncio.create_task(program.run())
    await asyncio.sleep(0)
    program.end(signal.SIGTERM)
    assert (await running).signal == "SIGTERM"


async def test_the_end_of_one_that_has_ended_is_nothing() -> None:
    program = a_program("true")
    await program.run()
    program.send(signal.SIGTERM)


def test_without_a_terminal_nobody_is_in_the_foreground() -> None:
    pid = os.fork()
    if not pid:
        os.setsid()
        os._exit(is_in_foreground())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_whoever_has_a_terminal_is_in_the_foreground() -> None:
    pid, fd = pty.fork()
    if not pid:
        os._exit(is_in_foreground())
    try:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    finally:
        os.close(fd)
