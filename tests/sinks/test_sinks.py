"""Immediate sinks by themselves: the offset, what can be dropped, and standard output in all its moods."""

from __future__ import annotations

import asyncio
import errno
import os
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.harness import PATIENCE, Log, a_report, stream, until

from randstream.clock import Clock
from randstream.errors import SettingsError
from randstream.observe.report import SinkReport
from randstream.protocol.frames import Beat, Open
from randstream.sinks.immediate import DiscardSink, ImmediateSink
from randstream.sinks.pipe import FdWriter, PipeSink
from randstream.sinks.queued import BATCH_BYTES
from randstream.sinks.stdout import StdoutSink

OFFERED = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "producer-0", 1.0)
OTHER = Open("worker-0", "0123456789abcdef", "integers:1:100", "producer-0", 1.0)


def beat(offset: int) -> Beat:
    return Beat(offset, 0, "1")


async def take(sink: ImmediateSink, count: int) -> bytes:
    """Let `sink` take the next numbers of the stream, and tell which."""
    first = sink._offset
    lines = stream().lines(first, count)
    sink.append(lines, count)
    return lines


# ---- offsets ---------------------------------------------------------------------------------------------------------


async def test_immediate_sink_names_an_offset_only_for_the_stream_it_last_took_numbers_of() -> None:
    sink = DiscardSink()
    await sink.start()
    assert await sink.open(OFFERED) is None
    sink.begin(100)
    await take(sink, 5)
    assert await sink.open(OFFERED) == 105
    assert await sink.open(OTHER) is None
    assert await sink.open(OFFERED) == 105
    assert await sink.open(OTHER) is None
    sink.begin(0)
    assert await sink.open(OFFERED) is None
    await sink.close()


async def test_immediate_sink_goes_back_to_the_last_good_beat_and_names_what_had_gone_unproven() -> None:
    sink = DiscardSink()
    await sink.open(OFFERED)
    sink.begin(0)
    await take(sink, 5)
    sink.prove(beat(5))
    assert await sink.commit() == 5
    assert sink.rewind() is None
    await take(sink, 3)
    assert sink.rewind() == (5, 8)
    assert await sink.open(OFFERED) == 5


async def test_immediate_sink_takes_what_a_plain_cut_left_unproven_for_good() -> None:
    sink = DiscardSink()
    await sink.open(OFFERED)
    sink.begin(0)
    await take(sink, 5)
    assert await sink.open(OFFERED) == 5
    assert sink.rewind() is None


async def test_raw_numbers_leave_the_offset_alone() -> None:
    sink = DiscardSink()
    await sink.open(OFFERED)
    sink.begin(7)
    sink.append_raw(b"1\n2\n")
    await sink.wait_room()
    assert await sink.open(OFFERED) == 7


# ---- pipes -----------------------------------------------------------------------------------------------------------


class Slow(PipeSink):
    """Writes when it is let, and keeps what it wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)
        self.begun: list[bytes] = []
        self.written = b""

    async def _write(self, batch: bytes, report: SinkReport) -> bool:
        self.begun.append(batch)
        await self.gate.acquire()
        self.written += batch
        return True


@asynccontextmanager
async def working(sink: Any) -> AsyncIterator[None]:
    await sink.start()
    task = asyncio.ensure_future(sink.run(a_report()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await sink.close()


async def test_a_commit_ends_when_all_that_was_appended_before_it_is_written() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        first = await take(sink, 5)
        sink.prove(beat(5))
        await until(lambda: sink.begun)
        second = await take(sink, 5)
        sink.prove(beat(10))
        committing = asyncio.ensure_future(sink.commit())
        third = await take(sink, 5)
        sink.gate.release()
        await until(lambda: sink.written == first)
        assert not committing.done()
        sink.gate.release()
        assert await committing == 10
        assert sink.written == first + second + third


async def opened_once_written(sink: Slow) -> int | None:
    """The offset that `open` names, which it does not before what has begun is written: it is acknowledged at once."""
    opening = asyncio.ensure_future(sink.open(OFFERED))
    await asyncio.sleep(0)
    assert not opening.done()
    sink.gate.release()
    return await opening


async def test_what_waits_is_dropped_at_an_open_and_comes_again_and_what_has_begun_does_not() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        first = await take(sink, 5)
        await until(lambda: sink.begun)
        await take(sink, 3)
        sink.append_raw(b"77\n")
        assert await opened_once_written(sink) == 5
        second = await take(sink, 4)
        sink.prove(beat(9))
        sink.gate.release()
        assert await sink.commit() == 9
        assert sink.written == first + second == stream().lines(0, 9)


async def test_a_rewind_drops_what_waits_and_names_only_what_had_begun_to_go_out() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        await take(sink, 5)
        await until(lambda: sink.begun)
        await take(sink, 3)
        assert sink.rewind() == (0, 5)
        assert await opened_once_written(sink) == 0


async def test_a_rewind_may_leave_the_offset_below_a_beat_whose_numbers_were_still_waiting() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        await take(sink, 2)
        await until(lambda: sink.begun)
        await take(sink, 3)
        sink.prove(beat(5))
        assert sink.rewind() is None
        assert await opened_once_written(sink) == 2


async def test_there_is_room_while_less_than_a_batch_waits() -> None:
    sink = Slow()
    async with working(sink):
        sink.append_raw(b"1\n" * BATCH_BYTES)
        await until(lambda: sink.begun)
        await sink.wait_room()
        sink.append_raw(b"1\n" * (BATCH_BYTES // 2))
        waiting = asyncio.ensure_future(sink.wait_room())
        await asyncio.sleep(0)
        assert not waiting.done()
        sink.gate.release()
        sink.gate.release()
        await asyncio.wait_for(waiting, PATIENCE)


async def test_batches_hold_whole_runs_up_to_a_bound() -> None:
    sink = Slow()
    async with working(sink):
        for _ in range(9):
            sink.append_raw(b"1\n" * (BATCH_BYTES // 8))
        for _ in range(5):
            sink.gate.release()
        await until(lambda: len(sink.written) == 9 * BATCH_BYTES // 4)
        assert [len(batch) * 4 // BATCH_BYTES for batch in sink.begun] == [4, 4, 1]


async def test_numbers_that_wait_one_by_one_take_little_more_memory_than_their_bytes() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    tracemalloc.start()
    try:
        for _ in range(50_000):
            sink.append(b"42\n", 1)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * 150_000
    assert await sink.open(OFFERED) == 0


# ---- standard output -------------------------------------------------------------------------------------------------


class Pipe:
    """Both ends of one, each closed once."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.reading = os.fdopen(reading, "rb", 0)
        self.writing = os.fdopen(writing, "wb", 0)

    async def read(self, size: int = 2**16) -> bytes:
        return await asyncio.to_thread(self.reading.read, size)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.reading.close()
    pipe.writing.close()


async def test_stdout_gets_the_numbers_as_lines(pipe: Pipe) -> None:
    sink = StdoutSink(Clock(), pipe.writing.fileno())
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        await take(sink, 10)
        sink.prove(beat(10))
        assert await sink.commit() == 10
        assert await pipe.read() == stream().lines(0, 10)


async def test_stdout_gives_back_its_thread_and_descriptor(pipe: Pipe) -> None:
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

    async def count(self: FdWriter, batch: bytes) -> tuple[int, OSError | None]:
        nonlocal attempts
        attempts += 1
        return await write(self, batch)

    monkeypatch.setattr(FdWriter, "write", count)
    with open("/dev/full", "wb") as full:  # noqa: ASYNC230, PTH123
        sink = StdoutSink(Clock(), full.fileno())
        async with working(sink):
            sink.append_raw(b"1\n2\n")
            await until(lambda: sink.problem)
            assert sink.problem == "cannot write to standard output: No space left on device"
            await until(lambda: attempts >= 3)
            null = os.open(os.devnull, os.O_WRONLY)
            assert sink._writer is not None
            os.dup2(null, sink._writer._fd)
            os.close(null)
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


async def test_stdout_that_somebody_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing.fileno(), False)
    sink = StdoutSink(Clock(), pipe.writing.fileno())
    async with working(sink):
        sink.append_raw(b"1\n" * 200_000)
        got = 0
        while got < 400_000:
            got += len(await pipe.read())
        assert sink.problem is None


async def test_stdout_that_is_closed_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="cannot write to standard output: Bad file descriptor"):
        await StdoutSink(Clock(), 10**6).start()


async def test_a_write_whose_waiter_has_gone_is_done_all_the_same(pipe: Pipe) -> None:
    writer = FdWriter(os.dup(pipe.writing.fileno()))
    waiting = asyncio.ensure_future(writer.write(b"1\n"))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await pipe.read() == b"1\n"
    assert await writer.write(b"2\n") == (2, None)
    writer.end()
    writer.join(PATIENCE)
    assert not writer.is_alive()


def test_a_write_that_outlives_its_loop_ends_the_thread_quietly(pipe: Pipe) -> None:

    async def begin() -> FdWriter:
        writer = FdWriter(os.dup(pipe.writing.fileno()))
        waiting = asyncio.ensure_future(writer.write(b"1\n" * 2**17))  # more than a pipe holds
        await asyncio.wait([waiting], timeout=0.01)
        return writer

    writer = asyncio.run(begin())
    got = 0
    while got < 2**18:
        got += len(pipe.reading.read(2**16))
    writer.join(PATIENCE)
    assert not writer.is_alive()
