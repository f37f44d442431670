"""Standard output: read, gone, full and closed."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest
from tests.harness import PATIENCE, Log, a_report, stream, until
from tests.sinks.feeding import OFFERED, Pipe, beat, take, working

from randstream.clock import Clock
from randstream.errors import SettingsError
from randstream.sinks.pipe import FdWriter
from randstream.sinks.stdout import StdoutSink


async def test_stdout_gets_the_numbers_as_lines(pipe: Pipe) -> None:
    sink = StdoutSink(Clock(), pipe.writing.fileno())
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        take(sink, 0, 10)
        sink.prove(beat(10))
        assert await sink.commit() == 10
        assert await pipe.read() == stream().lines(0, 10)


async def test_stdout_releases_its_thread_and_its_descriptor(pipe: Pipe) -> None:
    async with working(StdoutSink(Clock(), pipe.writing.fileno())):
        pass
    pipe.writing.close()
    assert await pipe.read() == b""


async def test_stdout_whose_reader_went_ends_politely(pipe: Pipe) -> None:
    pipe.reading.close()
    sink = StdoutSink(Clock(), pipe.writing.fileno())
    await sink.start()
    sink.append_raw(b"1\n")
    await asyncio.wait_for(sink.run(a_report()), PATIENCE)
    assert sink.problem is None
    await sink.close()


async def test_stdout_that_is_full_is_a_problem_and_is_tried_again(log: Log, quick: Any, monkeypatch: Any) -> None:
    quick("randstream.sinks.stdout.RETRY_SECONDS")
    attempts, write = 0, FdWriter.write
    has_room = False

    async def write_if_room(self: FdWriter, batch: bytes) -> tuple[int, OSError | None]:
        nonlocal attempts
        attempts += 1
        return (len(batch), None) if has_room else await write(self, batch)

    monkeypatch.setattr(FdWriter, "write", write_if_room)
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123
        sink = StdoutSink(Clock(), full.fileno())
        async with working(sink):
            sink.append_raw(b"1\n2\n")
            await until(lambda: sink.problem)
            assert sink.problem == "cannot write to standard output: No space left on device"
            await until(lambda: attempts >= 3)
            has_room = True
            await log.wait("sink.recovered")
            assert sink.problem is None
            assert len(log.of("sink.failing")) == 1


async def test_stdout_goes_on_where_a_failed_write_stopped(quick: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    quick("randstream.sinks.stdout.RETRY_SECONDS")
    taken: list[bytes] = []

    async def write(self: FdWriter, batch: bytes) -> tuple[int, OSError | None]:
        taken.append(batch)
        return (3, OSError(errno.ENOSPC, "full")) if len(taken) == 1 else (len(batch), None)

    monkeypatch.setattr(FdWriter, "write", write)
    sink = StdoutSink(Clock(), 1)
    async with working(sink):
        sink.append_raw(b"12\n34\n")
        await until(lambda: len(taken) == 2)
        assert taken == [b"12\n34\n", b"34\n"]


async def test_stdout_that_is_closed_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="cannot write to standard output: Bad file descriptor"):
        await StdoutSink(Clock(), 10**6).start()
