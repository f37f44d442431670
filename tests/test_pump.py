"""Pumps: runs in order and without a gap, no more ahead than they may be."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.harness import stream, until

from randstream.pacing import Pacer
from randstream.protocol import MAX_NUMBER_LINE_BYTES, MAX_OFFSET
from randstream.pump import RUN_NUMBERS, RUNS_AHEAD, FullSpeedPump, PacedPump
from randstream.stream import NumberStream

ROOM = 2**25


class Gated(NumberStream):
    """A stream whose drawing waits until it is let."""

    def __init__(self) -> None:
        super().__init__("42", "worker-0", "integers:1:100")
        self.gate = threading.Semaphore(0)
        self.drawn: list[int] = []

    def view(self, offset: int, count: int) -> memoryview:
        assert self.gate.acquire(timeout=10)
        self.drawn.append(offset)
        return super().view(offset, count)


async def test_full_speed_runs_come_in_order_without_a_gap() -> None:
    with ThreadPoolExecutor(1) as drawer:
        woken = asyncio.Event()
        pump = FullSpeedPump(stream(), 7, drawer, woken.set)
        offset = 7
        while offset < 7 + 5 * RUN_NUMBERS:
            if (run := pump.next_run(0.0, ROOM)) is None:
                woken.clear()
                await asyncio.wait_for(woken.wait(), 10)
                continue
            lines, count = run
            assert lines == stream().lines(offset, count)
            offset += count
        pump.close()


async def test_full_speed_draws_a_bounded_number_of_runs_ahead_and_wakes_its_owner_for_each() -> None:
    gated, woken = Gated(), []
    with ThreadPoolExecutor(1) as drawer:
        pump = FullSpeedPump(gated, 0, drawer, lambda: woken.append(1))
        gated.gate.release(20)
        await until(lambda: len(woken) == RUNS_AHEAD)
        drawer.submit(int).result(10)
        assert len(gated.drawn) == RUNS_AHEAD
        assert pump.next_run(0.0, ROOM) is not None
        await until(lambda: len(woken) == RUNS_AHEAD + 1)
        assert gated.drawn == [run * RUN_NUMBERS for run in range(RUNS_AHEAD + 1)]
        assert pump.next_due() < 0  # there are runs
        gated.gate = threading.Semaphore(0)
        for _ in range(RUNS_AHEAD):
            assert pump.next_run(0.0, ROOM) is not None
        assert pump.next_due() == float("inf")
        gated.gate.release(20)
        pump.close()


async def test_full_speed_waits_for_room_for_the_whole_run() -> None:
    with ThreadPoolExecutor(1) as drawer:
        woken = asyncio.Event()
        pump = FullSpeedPump(stream(), 0, drawer, woken.set)
        await asyncio.wait_for(woken.wait(), 10)
        size = len(stream().lines(0, RUN_NUMBERS))
        assert pump.next_run(0.0, size - 1) is None
        assert pump.next_run(0.0, size) == (stream().lines(0, RUN_NUMBERS), RUN_NUMBERS)
        pump.close()


async def test_full_speed_closed_draws_and_gives_no_more_and_wakes_nobody() -> None:
    gated, woken = Gated(), []
    with ThreadPoolExecutor(1) as drawer:
        pump = FullSpeedPump(gated, 0, drawer, lambda: woken.append(1))
        gated.gate.release()
        await until(lambda: woken)
        pump.close()
        pump.close()
        gated.gate.release()
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(drawer, int), 10)
        assert pump.next_run(0.0, ROOM) is None
        assert len(woken) == 1
        assert gated.drawn in ([0], [0, RUN_NUMBERS])


async def test_full_speed_closed_leaves_the_thread_to_others() -> None:
    gated = Gated()
    with ThreadPoolExecutor(1) as drawer:
        pumps = [FullSpeedPump(gated, 0, drawer, lambda: None) for _ in range(5)]
        for pump in pumps:
            pump.close()
        await asyncio.sleep(0)  # the turn of the loop in which the executor hears of it
        gated.gate.release()
        assert await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(drawer, lambda: "free"), 10) == "free"


@pytest.mark.parametrize("left", [0, 1, 5])
async def test_full_speed_ends_with_the_last_number_of_the_stream(left: int) -> None:
    with ThreadPoolExecutor(1) as drawer:
        pump = FullSpeedPump(stream(), MAX_OFFSET - left, drawer, lambda: None)
        if left:
            run = await until(lambda: pump.next_run(0.0, ROOM))
            assert run == (stream().lines(MAX_OFFSET - left, left), left)
        drawer.submit(int).result(10)
        await asyncio.sleep(0)
        assert pump.next_run(0.0, ROOM) is None


def test_paced_runs_are_what_is_due() -> None:
    pump = PacedPump(stream(), 3, Pacer(10, 0.0))
    assert pump.next_run(0.05, ROOM) is None
    assert pump.next_due() == pytest.approx(0.1)
    assert pump.next_run(0.45, ROOM) == (stream().lines(3, 4), 4)
    assert pump.next_run(0.45, ROOM) is None
    assert pump.next_run(0.55, ROOM) == (stream().lines(7, 1), 1)
    pump.close()


def test_paced_runs_fit_the_room_even_if_every_number_were_the_longest() -> None:
    pump = PacedPump(stream(), 0, Pacer(1000, 0.0))
    assert pump.next_run(1.0, MAX_NUMBER_LINE_BYTES - 1) is None
    assert pump.next_run(1.0, 2 * MAX_NUMBER_LINE_BYTES) == (stream().lines(0, 2), 2)
    assert pump.next_run(1.0, 0) is None


def test_paced_ends_with_the_last_number_of_the_stream() -> None:
    pump = PacedPump(stream(), MAX_OFFSET - 5, Pacer(1000, 0.0))
    assert pump.next_due() < 1
    assert pump.next_run(1.0, ROOM) == (stream().lines(MAX_OFFSET - 5, 5), 5)
    assert pump.next_run(2.0, ROOM) is None
    assert pump.next_due() == float("inf")
