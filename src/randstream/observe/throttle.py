"""Throttle: limits log lines to so many a minute, and counts the rest. Pure: never reads a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LINES_A_MINUTE: Final = 12
"""For one kind of line: what a peer can cause as often as it likes must not fill the log."""


class Throttle:
    """Admits up to `limit` lines in any 60 seconds."""

    __slots__ = ("_admitted", "_left_out", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._admitted: list[float] = []  # a dozen at most, and a deque would take ten times the memory
        self._left_out = 0

    def say(self, write: Callable[..., object], event: str, now: float, **fields: object) -> None:
        """`write` the event with the count of lines left out before it, or leave it out too."""
        left_out = self.admit(now)
        if left_out is not None:
            write(event, **fields, **({"left_out": left_out} if left_out else {}))

    def admit(self, now: float) -> int | None:
        """Return None to leave this line out, else the count of lines left out before it."""
        while self._admitted and now - self._admitted[0] >= 60.0:
            del self._admitted[0]
        if len(self._admitted) >= self._limit:
            self._left_out += 1
            return None
        self._admitted.append(now)
        left_out, self._left_out = self._left_out, 0
        return left_out
