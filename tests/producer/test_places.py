"""Places: which attempts come first, which wait, and what the silent ones leave to others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf

import pytest
from tests.support.clock import a_wheel

from randstream.producer.places import PATIENCE, Place, Places, Standing

KNOWN = Standing(has_answered=True)
NEW = Standing()
LOST = Standing(has_answered=True, is_silent=True)
SILENT = Standing(is_silent=True)


def asking(places: Places, *standings: Standing) -> tuple[list[int], list[Place]]:
    """The numbers of those that have begun, as they begin, and the places of all."""
    begun: list[int] = []
    return begun, [
        places.ask(each, lambda number=number: begun.append(number)) for number, each in enumerate(standings)
    ]


async def test_places_are_had_in_turn() -> None:
    places = Places(a_wheel(), 2, 0)
    begun, held = asking(places, NEW, NEW, NEW, NEW)
    assert begun == [0, 1]
    places.leave(held[1])
    assert begun == [0, 1, 2]
    places.leave(held[1])  # idempotent
    assert begun == [0, 1, 2]


async def test_places_go_to_those_first_that_have_answered_before_and_last_to_the_silent() -> None:
    places = Places(a_wheel(), 2, 0)
    begun, held = asking(places, NEW, NEW, SILENT, LOST, NEW, KNOWN)
    for number in (0, 1, 5, 4):
        places.leave(held[number])
    assert begun == [0, 1, 5, 4, 3]
    places.leave(held[3])
    assert begun == [0, 1, 5, 4, 3, 2]


async def test_places_are_never_all_held_by_the_silent() -> None:
    places = Places(a_wheel(), 4, 0)
    begun, held = asking(places, *[SILENT] * 10, NEW, KNOWN)
    assert begun == [0, 1, 10, 11]
    places.leave(held[0])
    assert begun == [0, 1, 10, 11, 2]


async def test_places_of_those_who_take_long_are_free_for_others_up_to_a_limit() -> None:
    places = Places(a_wheel(), 1, 2)
    begun, held = asking(places, *[NEW] * 5)
    await asyncio.sleep(1.5 * PATIENCE)
    assert begun == [0, 1]
    await asyncio.sleep(100 * PATIENCE)
    assert begun == [0, 1, 2]
    places.leave(held[2])
    assert begun == [0, 1, 2, 3]
    await asyncio.sleep(2 * PATIENCE)
    assert begun == [0, 1, 2, 3]
    places.leave(held[0])
    assert begun == [0, 1, 2, 3, 4]  # one late fewer, so an overdue one becomes late


async def test_overdue_places_become_free_as_late_ones_leave_the_longest_held_first() -> None:
    places = Places(a_wheel(), 2, 1)
    begun, held = asking(places, *[NEW] * 6)
    await asyncio.sleep(1.5 * PATIENCE)
    assert begun == [0, 1, 2]  # 0 is late; 1 is overdue, with no room among the late
    await asyncio.sleep(1.5 * PATIENCE)
    places.leave(held[0])
    assert begun == [0, 1, 2, 3]  # 1 is late
    places.leave(held[2])  # it was next
    assert begun == [0, 1, 2, 3, 4]
    places.leave(held[1])
    assert begun == [0, 1, 2, 3, 4]  # neither 3 nor 4 is overdue
    await asyncio.sleep(1.5 * PATIENCE)
    assert begun == [0, 1, 2, 3, 4, 5]


async def test_a_place_that_is_waited_for_in_vain_is_not_held() -> None:
    places = Places(a_wheel(), 1, inf)

    async def take(during: Callable[[], Awaitable[object]]) -> None:
        async with places.place(NEW):
            await during()

    gate = asyncio.Event()
    first = asyncio.ensure_future(take(gate.wait))
    waiting = [asyncio.ensure_future(take(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    gate.set()
    await first
    async with asyncio.timeout(PATIENCE / 2):
        await take(gate.wait)
    assert all(each.cancelled() for each in waiting)


@pytest.mark.parametrize(("standing", "rank"), [(KNOWN, 0), (NEW, 1), (LOST, 2), (SILENT, 3)])
def test_rank(standing: Standing, rank: int) -> None:
    assert standing.rank == rank
