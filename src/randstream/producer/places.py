"""Places: how many attempts run at once, and which come first. Silent peers never take all of them."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final

from ..net.timers import Alarm, TimerWheel

PATIENCE: Final = 0.1
"""Seconds that an attempt holds its place. One that still waits then needs neither the processor nor the network."""


@dataclass(slots=True)
class Standing:
    """What is known about the object of an attempt: a target to dial, a name to look up."""

    has_answered: bool = False
    """At any attempt."""
    is_silent: bool = False
    """At the last attempt, until its time was up."""

    @property
    def rank(self) -> int:
        """0 is first."""
        return 2 * self.is_silent + (not self.has_answered)


class Place:
    """One attempt's place, from when it is asked for until `leave`."""

    __slots__ = ("begin", "is_silent", "patience", "state")

    def __init__(self, begin: Callable[[], None], *, is_silent: bool) -> None:
        self.begin = begin
        self.is_silent = is_silent
        self.state = "waiting"
        self.patience: Alarm | None = None


class Places:
    """`at_once` places, at most half of them for the silent. An attempt that takes longer than PATIENCE makes room for
    others and goes on, as long as no more than `most_late` do.
    """

    def __init__(self, wheel: TimerWheel, at_once: int, most_late: float) -> None:
        self._wheel = wheel
        self._at_once = at_once
        self._most_late = most_late
        self._held = self._held_by_silent = self._late = 0
        self._overdue: dict[Place, None] = {}
        """Held for longer than PATIENCE because too many are late already; the longest held first."""
        self._waiting: list[tuple[int, int, Place]] = []
        self._numbers = count()

    def ask(self, standing: Standing, begin: Callable[[], None]) -> Place:
        """Call `begin` as soon as there is a place. `leave` it, whatever comes of the attempt."""
        place = Place(begin, is_silent=standing.is_silent)
        heapq.heappush(self._waiting, (standing.rank, next(self._numbers), place))
        self._admit()
        return place

    @asynccontextmanager
    async def place(self, standing: Standing) -> AsyncIterator[None]:
        """Wait for a place and have it for the block."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = self.ask(standing, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
            yield
        finally:
            self.leave(place)

    def leave(self, place: Place) -> None:
        """The attempt is over, or no longer wanted."""
        if place.patience is not None:
            place.patience.forget()
        self._overdue.pop(place, None)
        if place.state == "held":
            self._release(place)
        elif place.state == "late":
            self._late -= 1
        place.state = "over"
        self._make_room()
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._held < self._at_once:
            place = self._waiting[0][2]
            if place.state == "waiting":
                if place.is_silent and self._held_by_silent >= max(1, self._at_once // 2):
                    return
                place.state = "held"
                self._held += 1
                self._held_by_silent += place.is_silent
                place.patience = self._wheel.alarm(partial(self._on_late, place))
                place.patience.set(self._wheel.clock.now() + PATIENCE)
                heapq.heappop(self._waiting)
                place.begin()
            else:
                heapq.heappop(self._waiting)

    def _on_late(self, place: Place, now: float) -> None:
        self._overdue[place] = None
        self._make_room()
        self._admit()

    def _make_room(self) -> None:
        """Turn overdue places into late ones, which others may then take, as far as `most_late` allows."""
        while self._overdue and self._late < self._most_late:
            place = next(iter(self._overdue))
            del self._overdue[place]
            self._release(place)
            self._late += 1
            place.state = "late"

    def _release(self, place: Place) -> None:
        self._held -= 1
        self._held_by_silent -= place.is_silent
