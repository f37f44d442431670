"""The command sink, with real commands: what they took, how they die, how they are ended."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.support.clock import JumpingClock
from tests.support.log import Log
from tests.support.peers import dialled
from tests.support.roles import a_worker, producing
from tests.support.sinks import a_report
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.clock import Clock
from randstream.errors import SettingsError
from randstream.observe.status import LinkState
from randstream.observe.throttle import LINES_A_MINUTE
from randstream.sinks.command import CommandSink


class Hasty(Random):
    """A Random that always picks the shortest delay, and remembers what the longest would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.bounds: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.bounds.append(b)
        return a


TAKE_TWO = 'read a; read b; echo "$a $b" >> "$0"; kill -9 $$'
KEEP = 'exec cat >> "$0"'
NEVER_READ = 'echo $$ > "$0"; exec sleep 1000'


def a_sink(*command: str, clock: Clock | None = None, random: Random | None = None) -> CommandSink:
    return CommandSink(command, clock or Clock(), random or Random(1))


@asynccontextmanager
async def working(*command: str, **more: Any) -> AsyncIterator[CommandSink]:
    sink = a_sink(*command, **more)
    await sink.start()
    task = asyncio.ensure_future(sink.run(a_report()))
    try:
        yield sink
    finally:
        task.cancel()
        await asyncio.wait([task])
        await sink.close()


def text(path: Path) -> str:
    return path.read_text(encoding="ascii") if path.exists() else ""


def has_lines(path: Path, count: int) -> bool:
    return text(path).count("\n") == count


async def test_a_command_gets_the_numbers_on_its_standard_input_and_their_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with working("sh", "-c", KEEP, str(out)) as sink:
        sink.append_raw(b"1\n2\n3\n")
        await until(lambda: text(out) == "1\n2\n3\n")
        process = sink.process
    assert process is not None
    assert process.returncode == 0


async def test_a_command_that_is_not_there_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"cannot run '\./no/such': No such file or directory; give a program"):
        await a_sink("./no/such").start()


async def test_closing_a_command_that_was_never_started_does_nothing() -> None:
    await a_sink("cat").close()


async def test_a_command_that_dies_is_logged_is_a_problem_and_is_restarted(
    tmp_path: Path, log: Log, quick: Any
) -> None:
    out = tmp_path / "out"
    quick("randstream.backoff.FIRST_DELAY", 60.0)
    async with working("sh", "-c", TAKE_TWO, str(out)) as sink:
        sink.append_raw(b"1\n2\n")
        exited = await log.wait("command.exited")
        assert text(out) == "1 2\n"
        assert exited["error"] == sink.problem == "the command exited with status -9"
        assert 0 <= exited["restart_in"] <= 60


async def test_a_command_that_died_is_replaced_and_the_next_gets_what_follows(tmp_path: Path, log: Log) -> None:
    out = tmp_path / "out"
    async with working("sh", "-c", TAKE_TWO, str(out)) as sink:
        for number in range(3):
            await log.wait("command.started", number + 1)
            await until(lambda: sink.problem is None)
            sink.append_raw(b"%d\n%d\n" % (number, number))
            await until(partial(has_lines, out, number + 1))
        assert text(out) == "0 0\n1 1\n2 2\n"


async def test_a_number_of_which_the_pipe_took_a_part_goes_whole_to_the_next_command(tmp_path: Path, log: Log) -> None:
    first, rest = tmp_path / "first", tmp_path / "rest"
    script = 'if [ -e "$0" ]; then exec cat >> "$1"; fi; echo $$ > "$0"; exec sleep 1000'
    async with working("sh", "-c", script, str(first), str(rest)) as sink:
        await until(lambda: text(first).endswith("\n"))
        lines = stream().lines(0, 60_000)  # more than a pipe holds, and its size is no multiple of a line's
        sink.append(lines, 60_000)
        await until(lambda: has_full_input(int(text(first))))
        os.kill(int(text(first)), signal.SIGKILL)
        sink.append(b"-1\n", 1)
        await until(lambda: text(rest).endswith("\n-1\n"))
        taken_by_the_first = len(lines) + 3 - len(text(rest))
        assert 0 < taken_by_the_first <= 2**16
        assert (lines + b"-1\n").endswith(text(rest).encode())
        assert lines[taken_by_the_first - 1 : taken_by_the_first] == b"\n"


def has_full_input(pid: int) -> bool:
    """Whether the pipe that is the standard input of process `pid` takes no more."""
    with Path(f"/proc/{pid}/fd/0").open("wb", 0) as pipe:
        return not select.select([], [pipe], [], 0)[1]


async def test_a_command_that_ends_again_and_again_says_so_many_lines_a_minute(log: Log, quick: Any) -> None:
    quick("randstream.backoff.FIRST_DELAY", 0.0)
    quick("randstream.backoff.LONGEST_DELAY", 0.0)
    ended: list[object] = []
    async with working("true") as sink:
        spawn = sink._spawn

        async def counting() -> None:
            ended.append(None)
            await spawn()

        sink._spawn = counting
        await until(lambda: len(ended) > LINES_A_MINUTE)
    assert len(log.of("command.started")) + len(log.of("command.exited")) == LINES_A_MINUTE


async def test_a_command_that_cannot_be_started_again_is_a_problem_until_it_can(tmp_path: Path, log: Log) -> None:
    program, true = tmp_path / "program", shutil.which("true")
    assert true is not None
    program.symlink_to(true)
    async with working(str(program)) as sink:
        program.unlink()
        await until(lambda: sink.problem == f"cannot run {str(program)!r}: No such file or directory")
        starts = len(log.of("command.started"))
        program.symlink_to(true)
        await log.wait("command.started", starts + 1)


async def test_a_command_that_lives_but_reads_no_more_is_a_problem() -> None:
    async with working("sh", "-c", "exec 0<&-; exec sleep 1000") as sink:

        def is_noticed() -> bool:
            sink.append_raw(b"1\n")
            return sink.problem is not None

        await until(is_noticed)
        assert sink.problem == "the command has closed its standard input"
        assert sink.process is not None
        sink.process.kill()


async def test_a_command_that_ran_for_long_is_restarted_soon(clock: JumpingClock, log: Log, quick: Any) -> None:
    quick("randstream.sinks.command.CLOSE_SECONDS", 0.05)
    random = Hasty()
    async with working("sh", "-c", "exec sleep 1000", clock=clock, random=random) as sink:
        for number, alive in enumerate([0, 0, 11, 0], start=1):
            await log.wait("command.started", number)
            clock.jump(alive)
            assert sink.process is not None
            sink.process.kill()
        await log.wait("command.started", 5)
    assert random.bounds == [0.1, 0.2, 0.1, 0.2]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exec cat", 0),
        ("exec sleep 1000", -signal.SIGTERM),
        ("trap '' TERM; echo ready >&2; while :; do sleep 0.01; done", -signal.SIGKILL),
    ],
)
async def test_close_ends_the_input_then_sends_sigterm_then_sigkill(script: str, status: int, quick: Any) -> None:
    quick("randstream.sinks.command.CLOSE_SECONDS", 0.2)
    async with working("sh", "-c", script) as sink:
        process = sink.process
    assert process is not None
    assert process.returncode == status


async def test_close_between_two_commands_is_immediate(log: Log, quick: Any) -> None:
    quick("randstream.backoff.FIRST_DELAY", 60.0)
    async with working("false"):
        await log.wait("command.exited")


async def test_a_command_has_a_session_of_its_own_so_that_ctrl_c_is_for_the_worker_alone() -> None:
    async with working("cat") as sink:
        assert sink.process is not None
        assert os.getsid(sink.process.pid) == sink.process.pid != os.getsid(0)


async def test_a_command_does_not_inherit_the_write_end_of_its_pipe(tmp_path: Path) -> None:
    async with working(sys.executable, "-c", "import sys; sys.stdin.read()") as sink:
        process = sink.process
    assert process is not None
    assert process.returncode == 0


# ---- in a worker -----------------------------------------------------------------------------------------------------


async def test_a_stuck_command_stalls_the_link_within_the_window_and_heals(tmp_path: Path, log: Log) -> None:
    pid, out = tmp_path / "pid", tmp_path / "out"
    script = 'if [ -e "$0" ]; then exec cat >> "$1"; fi; echo $$ > "$0"; exec sleep 1000'
    async with (
        a_worker(command=("sh", "-c", script, str(pid), str(out))) as worker,
        # On a busy machine this process is often held up.
        producing(worker, rate=1e6, heartbeat_interval=1.0) as producer,
    ):
        await log.wait("link.stalled")
        (link,) = producer.links
        assert link.state is LinkState.STALLED
        stalled = await log.wait("sink.stalled")
        assert worker.problem == stalled["why"] == f"the command sh has not taken its numbers since {stalled['since']}"
        assert worker.intake.state is LinkState.STALLED
        stuck_at = link.acked_offset
        await until(lambda: text(pid).endswith("\n"))
        os.kill(int(text(pid)), signal.SIGKILL)
        await log.wait("link.recovered")
        await log.wait("sink.recovered")
        await until(lambda: link.acked_offset > stuck_at)
        assert log.of("link.lost") == []
        await until(lambda: text(out).count("\n") > 1000)
        got = text(out)[: text(out).rindex("\n") + 1].encode()
        whole = stream().lines(0, link.offset)
        assert got in whole
        assert 0 < whole.index(got) <= 2**16


async def test_a_worker_acknowledges_only_what_the_commands_pipe_took(tmp_path: Path, log: Log, quick: Any) -> None:
    quick("randstream.sinks.command.CLOSE_SECONDS", 0.05)
    async with (
        a_worker(command=("sh", "-c", NEVER_READ, str(tmp_path / "pid"))) as worker,
        producing(worker, rate=1e6, heartbeat_interval=0.05, grace_period=0.1) as producer,
    ):
        await log.wait("link.stalled")
        (link,) = producer.links
        acked = len(stream().lines(0, link.acked_offset))
        assert acked <= 2**16 < len(stream().lines(0, link.offset))


async def test_a_new_connection_waits_while_the_command_has_not_taken_what_it_was_given(
    tmp_path: Path, quick: Any
) -> None:
    quick("randstream.sinks.command.CLOSE_SECONDS", 0.05)
    script = f"if [ -e $0 ]; then exec cat > /dev/null; fi; {NEVER_READ}"
    async with a_worker(command=("sh", "-c", script, str(tmp_path / "pid"))) as worker:
        async with dialled(worker) as peer:
            await peer.start()
            peer.say(stream().lines(0, 40_000))  # more than a pipe takes
            await until(lambda: worker.tally.numbers == 40_000 and text(tmp_path / "pid").endswith("\n"))
            await until(lambda: has_full_input(int(text(tmp_path / "pid"))))  # and the rest of it is being written
        async with dialled(worker) as peer:
            await peer.join(heartbeat="0.5")
            for _ in range(2):
                assert await peer.line() == b"#wait offset=0\n"
                peer.say(b"#wait\n")
            os.kill(int(text(tmp_path / "pid")), signal.SIGKILL)  # the next one reads
            assert (await peer.turn()).startswith(b"#resume offset=")


async def test_a_worker_whose_command_is_dead_is_not_ready(log: Log, quick: Any) -> None:
    quick("randstream.backoff.FIRST_DELAY", 60.0)
    async with a_worker(command=("sh", "-c", "exit 3")) as worker:
        await log.wait("command.exited")
        assert worker.problem == "the command exited with status 3"
