"""Journal: the last events of all links, for people who look at the page. Bounded; the log keeps the rest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from ..clock import Clock

KEPT: Final = 64
"""Entries: a screenful or two, and at most 10 KB a second for everyone who watches."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a link. `time` is in seconds since 1970, `event` is the log event's name."""

    time: float
    event: str
    link: str
    detail: str


class Journal:
    """The last KEPT entries, newest last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.entries: deque[Entry] = deque(maxlen=KEPT)

    def note(self, event: str, link: str, detail: str) -> None:
        """Add an entry; if full, drop the oldest."""
        self.entries.append(Entry(self._clock.wall_time(), event, link, detail))
