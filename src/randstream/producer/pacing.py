"""Pacing: how many numbers are due by `now`. Pure: never reads a clock."""

from __future__ import annotations

import math
from typing import Final

DEPTH_SECONDS: Final = 1.0
"""How much of a stall is made up for: all of a short one, and never a flood after a long one."""
HIGHEST_RATE: Final = 1e12
"""Numbers a second. More than any link carries; up to it, no product with a process's age overflows."""


class Pacer:
    """A token bucket, DEPTH_SECONDS deep and at least one number, empty at the start.

    Counted from the start rather than added up, so that the long-run rate has no rounding in it.
    `rate` in numbers a second, above 0, infinite for as fast as possible; times in seconds.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = min(rate, HIGHEST_RATE)
        self._depth = max(1, math.floor(self._rate * DEPTH_SECONDS))
        self._start = now
        self._taken = 0

    def due(self, now: float) -> int:
        """How many numbers may be sent at `now`: none before `next_due()`, at least one from then on."""
        if now < self.next_due():
            return 0
        due = max(1, math.floor((now - self._start) * self._rate) - self._taken)
        if due > self._depth:  # the bucket overflows: what the stall cost beyond its depth is lost
            self._taken += due - self._depth
            if now < self.next_due():
                self._taken -= 1
        return min(due, self._depth)

    def take(self, count: int) -> None:
        """`count` numbers have been sent."""
        self._taken += count

    def next_due(self) -> float:
        """When the next number is due."""
        return self._start + (self._taken + 1) / self._rate
