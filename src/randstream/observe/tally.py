"""Tally: what a role has counted since it started. Plain attributes, so that counting costs next to nothing.

Nothing here knows about a metrics library: `metrics` reads these when asked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

TIME_BOUNDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
)  # fmt: skip
"""Seconds: from a round trip on loopback to a silence that ends a connection."""
INTERRUPTION_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
"""Seconds: from a hand-over on a quick network to a node that stays away."""


class Buckets:
    """How many durations fell below each of `bounds`. A fifth of a microsecond each."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = TIME_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """How many are within each bound and above the one before; the last counts those above all bounds."""
        self.total = 0.0
        """The sum of all durations, in seconds."""

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class Tally:
    """Only grows. A producer counts what it sends, a worker what it receives."""

    numbers: int = 0
    number_bytes: int = 0
    acked_numbers: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    """Connections that carried numbers and ended, by reason."""
    failures: Counter[str] = field(default_factory=Counter)
    """Attempts that never carried numbers, by reason."""
    round_trips: Buckets = field(default_factory=Buckets)
    """At a producer: from a beat to its ack."""
    commits: Buckets = field(default_factory=Buckets)
    """At a worker: how long its sink took to make numbers as durable as it promises."""
    interruptions: defaultdict[str, Buckets] = field(
        default_factory=lambda: defaultdict(lambda: Buckets(INTERRUPTION_BOUNDS))
    )
    """Those of all links that are over, by cause."""
    reconnects: int = 0
    """Lost connections that others have replaced."""
    sink_failures: int = 0
