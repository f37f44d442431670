"""Pacing: how many numbers are due by `now`. Pure: never reads a clock."""

from __future__ import annotations

import math
from typing import Final

DEPTH_SECONDS: Final = 1.0
"""How much of a stall is caught up: a short one wholly, a long one never by a flood."""


class Pacer:
    """A token bucket, DEPTH_SECONDS deep and at least one number, empty at the start.

    Counted from the start rather than added up, so that the long-run rate has no rounding in it.
    `rate` in numbers a second, finite and above 0; times in seconds.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._depth = max(1, math.floor(rate * DEPTH_SECONDS))
        self._start = now
        self._taken = 0

    def due(self, now: float) -> int:
        """How many numbers may be sent at `now`."""
        due = self._count(now)
        if due > self._depth:  # the bucket overflows: what the stall cost beyond its depth is forfeit
            self._start = now - self._depth / self._rate
            self._taken = 0
            due = self._depth
        return due

    def take(self, count: int) -> None:
        """`count` numbers have been sent."""
        self._taken += count

    def next_due(self) -> float:
        """When the next number is due."""
        return self._start + (self._taken + 1) / self._rate

    def _count(self, now: float) -> int:
        due = math.floor((now - self._start) * self._rate) - self._taken
        if now >= self.next_due():  # rounding must not put the moment that `next_due` named before the number
            due = max(due, 1)
        return max(due, 0)
