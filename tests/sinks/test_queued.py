"""Queued sinks: what waits, what has begun to go out, and what a commit waits for."""

from __future__ import annotations

import asyncio

from tests.sinks.feeding import OFFERED, beat, take, working
from tests.support.memory import traced
from tests.support.stream import stream
from tests.support.waiting import PATIENCE, until

from randstream.clock import Clock
from randstream.observe.sink_report import SinkReport
from randstream.sinks.pipe import PipeSink
from randstream.sinks.queued import BATCH_BYTES


class Slow(PipeSink):
    """Writes when the test opens its gate, and keeps what it wrote."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.gate = asyncio.Semaphore(0)
        self.begun: list[bytes] = []
        self.written = b""

    async def _write(self, batch: bytes, report: SinkReport) -> bool:
        self.begun.append(batch)
        await self.gate.acquire()
        self.written += batch
        return True


async def opened_once_written(sink: Slow) -> int | None:
    """The offset that `open` names, once what has begun is written: it will be acknowledged at once."""
    opening = asyncio.ensure_future(sink.open(OFFERED))
    await asyncio.sleep(0)
    assert not opening.done()
    sink.gate.release()
    return await opening


async def test_a_commit_ends_when_all_that_was_appended_before_it_is_written() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        first = take(sink, 0, 5)
        sink.prove(beat(5))
        await until(lambda: sink.begun)
        second = take(sink, 5, 5)
        sink.prove(beat(10))
        committing = asyncio.ensure_future(sink.commit())
        third = take(sink, 10, 5)
        sink.gate.release()
        await until(lambda: sink.written == first)
        assert not committing.done()
        sink.gate.release()
        assert await committing == 10
        assert sink.written == first + second + third


async def test_an_open_drops_what_waits_but_not_what_has_begun_to_go_out() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        first = take(sink, 0, 5)
        await until(lambda: sink.begun)
        take(sink, 5, 3)
        assert await opened_once_written(sink) == 5
        second = take(sink, 5, 4)
        sink.prove(beat(9))
        sink.gate.release()
        assert await sink.commit() == 9
        assert sink.written == first + second == stream().lines(0, 9)


async def test_an_open_drops_no_numbers_of_a_raw_peer_and_names_its_offset_once_they_are_written() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        first = take(sink, 0, 5)
        await until(lambda: sink.begun)
        take(sink, 5, 1)
        sink.append_raw(b"77\n")
        sink.append_raw(b"78\n")
        take(sink, 6, 1)
        opening = asyncio.ensure_future(sink.open(OFFERED))
        sink.gate.release()
        await until(lambda: len(sink.begun) == 2)
        assert not opening.done()
        sink.gate.release()
        assert await opening == 5
        assert sink.written == first + b"77\n78\n"


async def test_a_rewind_drops_what_waits_and_names_only_what_had_begun_to_go_out() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        take(sink, 0, 5)
        await until(lambda: sink.begun)
        take(sink, 5, 3)
        assert sink.rewind() == (0, 5)
        assert await opened_once_written(sink) == 0


async def test_a_rewind_may_leave_the_offset_below_a_beat_whose_numbers_were_still_waiting() -> None:
    sink = Slow()
    await sink.open(OFFERED)
    sink.begin(0)
    async with working(sink):
        take(sink, 0, 2)
        await until(lambda: sink.begun)
        take(sink, 2, 3)
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
    with traced("sinks/queued.py") as held:
        for _ in range(50_000):
            sink.append(b"42\n", 1)
        assert held() < 2 * 150_000
    assert await sink.open(OFFERED) == 0
