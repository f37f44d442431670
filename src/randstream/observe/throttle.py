"""Throttle: limits log lines to so many a minute, and counts the rest. Pure: never reads a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LINES_A_MINUTE: Final = 12
"""For one kind of line: what a peer can cause as often as it likes must not fill the log."""


class Throttle:
    """Admits up to `limit` lines in any 60 seconds. After its first line it also needs a line of `shared`, a limit for
    many throttles: each of thousands logs an event once, and all of them together repeat it so many times a minute.
    """

    __slots__ = ("_admitted", "_has_said", "_left_out", "_limit", "_shared")

    def __init__(self, limit: int, shared: Throttle | None = None) -> None:
        self._limit = limit
        self._shared = shared
        self._has_said = False
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
        is_full = len(self._admitted) >= self._limit
        if is_full or (self._has_said and self._shared is not None and self._shared.admit(now) is None):
            self._left_out += 1
            return None
        self._has_said = True
        self._admitted.append(now)
        left_out, self._left_out = self._left_out, 0
        return left_out
