"""Clock: the monotonic time with its fractions of a millisecond, and timers that keep to it on both loops."""

from __future__ import annotations

import asyncio
import time

from randstream.clock import Clock


async def test_its_time_is_that_of_the_running_loop_but_finer() -> None:
    clock = Clock()
    loop = asyncio.get_running_loop()
    before = clock.now()
    await asyncio.sleep(0)  # uvloop's time stands still within a turn
    assert abs(loop.time() - before) < 5.0
    times = {clock.now() for _ in range(100)}
    assert len({at * 1000 % 1 for at in times}) > 10


def test_it_never_goes_back_and_its_wall_time_is_that_of_people() -> None:
    clock = Clock()
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(times)
    assert abs(clock.wall_time() - time.time()) < 60.0


async def test_a_timer_rings_at_its_time_and_not_before() -> None:
    clock = Clock()
    rang = asyncio.get_running_loop().create_future()
    when = clock.now() + 0.01
    clock.call_at(when, lambda: rang.set_result(clock.now()))
    assert when - 0.001 <= await asyncio.wait_for(rang, 10) < when + 5.0


async def test_a_timer_that_was_cancelled_does_not_ring() -> None:
    clock = Clock()
    rang: list[str] = []
    second = asyncio.Event()
    when = clock.now()
    clock.call_at(when, lambda: rang.append("first")).cancel()
    clock.call_at(when, second.set)
    await asyncio.wait_for(second.wait(), 10)
    await asyncio.sleep(0)
    assert rang == []


async def test_what_is_called_soon_is_called_in_the_next_turn_and_in_order() -> None:
    clock = Clock()
    rang: list[str] = []
    clock.call_soon(lambda: rang.append("first"))
    clock.call_soon(lambda: rang.append("second"))
    assert rang == []
    await asyncio.sleep(0)
    assert rang == ["first", "second"]
