"""Durations: how long something took, many times, in little enough memory for each link to keep its own."""

from __future__ import annotations

import math
from typing import Final

STEPS: Final = 32
"""Buckets for each doubling: a quantile is at most 1 / STEPS too high."""


class Durations:
    """Counts of durations in seconds, in buckets that grow with them: a few hundred at most."""

    __slots__ = ("_counts", "count", "longest", "shortest")

    def __init__(self) -> None:
        self.count = 0
        self.shortest = math.inf
        self.longest = 0.0
        self._counts: dict[int, int] = {}

    def observe(self, seconds: float) -> None:
        self.count += 1
        self.shortest = min(self.shortest, seconds)
        self.longest = max(self.longest, seconds)
        mantissa, exponent = math.frexp(seconds)
        bucket = exponent * STEPS + int(2 * STEPS * mantissa)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def quantile(self, share: float) -> float:
        """The duration that `share` of all, 0 to 1, do not exceed, to one bucket. ValueError if there is none."""
        if not self.count:
            raise ValueError("there is no duration yet")
        left = share * self.count
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left <= 0:
                break
        exponent, step = divmod(bucket - STEPS, STEPS)
        end = math.ldexp((STEPS + step + 1) / (2 * STEPS), exponent)
        return min(max(end, self.shortest), self.longest)
