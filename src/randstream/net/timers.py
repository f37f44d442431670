"""The timer wheel: ten thousand deadlines for the price of a few timers.

Times are in seconds of the clock that the wheel is given.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Final

from ..clock import Clock

TICK: Final = 0.005
"""Seconds. Deadlines in the same tick share one timer; nothing is ever early, or late by more than one tick."""
NOW: Final = -math.inf
"""The time that is not rounded up to a tick: the loop's next turn."""


class Alarm:
    """A callback at a time that is moved often, and mostly later."""

    __slots__ = ("_callback", "_slot", "_wheel", "when")

    def __init__(self, wheel: TimerWheel, callback: Callable[[float], None]) -> None:
        self._wheel = wheel
        self._callback = callback
        self._slot = math.inf
        self.when = math.inf
        """In seconds; infinity: not set."""

    def set(self, when: float) -> None:
        """Call back at `when` instead of any time set before. Moving it later costs nothing now."""
        self.when = when
        slot = max(0.0, when // TICK + 1) if when < math.inf else math.inf
        if slot < self._slot:
            self._slot = slot
            self._wheel.add(slot, self)

    def forget(self) -> None:
        """Never call back, and release the callback now rather than when the alarm would have rung."""
        self.when = math.inf
        self._callback = _call_nobody

    def ring(self, slot: float, now: float) -> None:
        """Only for `TimerWheel`: `slot` has come."""
        if slot != self._slot:
            return  # moved earlier since then, and called at that time
        self._slot = math.inf
        if self.when <= now:
            self.when = math.inf
            self._callback(now)
        else:
            self.set(self.when)


def _call_nobody(now: float) -> None:
    pass


class TimerWheel:
    """Alarms by tick, with one timer of `clock` for the nearest tick that has any."""

    def __init__(self, clock: Clock, on_bug: Callable[[Exception], None]) -> None:
        self.clock = clock
        self._on_bug = on_bug
        self._slots: dict[float, list[Alarm]] = {}
        self._order: list[float] = []
        self._timer: asyncio.Handle | None = None
        self._next = math.inf

    def alarm(self, callback: Callable[[float], None]) -> Alarm:
        """A new alarm, not set. `callback` is called with the time."""
        return Alarm(self, callback)

    def add(self, slot: float, alarm: Alarm) -> None:
        """Only for `Alarm`."""
        alarms = self._slots.get(slot)
        if alarms is not None:
            alarms.append(alarm)
            return
        self._slots[slot] = [alarm]
        heapq.heappush(self._order, slot)
        self._arm()

    def close(self) -> None:
        """Forget every alarm."""
        self._slots.clear()
        self._order.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if not self._order or (self._timer is not None and self._next <= self._order[0]):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._next = self._order[0]
        if self._next:
            self._timer = self.clock.call_at(self._next * TICK, self.turn)
        else:
            self._timer = self.clock.call_soon(self.turn)

    def turn(self) -> None:
        """Ring what is due. The loop calls this, and a test that has moved the clock may too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self.clock.now()
        due: list[tuple[float, Alarm]] = []  # collected before the first rings: one set to the past waits a turn
        while self._order and self._order[0] * TICK <= now:
            slot = heapq.heappop(self._order)
            due.extend((slot, alarm) for alarm in self._slots.pop(slot))
        for slot, alarm in due:
            try:
                alarm.ring(slot, self.clock.now())  # those before it may have taken their time
            except Exception as bug:
                self._on_bug(bug)  # one alarm's bug must not silence the others
        self._arm()
