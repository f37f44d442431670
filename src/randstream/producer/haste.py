"""Haste: a worker that was connected a moment ago is dialled every second. Pure: never reads a clock."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

HASTE_SECONDS: Final = 60.0
"""A restarted pod is back within this time. After a longer absence, the longest delay of 5 s makes no difference."""
DELAY_SECONDS: Final = 1.0
ATTEMPTS_A_SECOND: Final = 200
"""Links that are dialled every second; more wait longer. If a name is gone and there is a search list, an attempt may
send eight DNS queries."""

Each = TypeVar("Each")


class Haste(Generic[Each]):
    """The links in haste, and how often to dial them if there are many."""

    def __init__(self) -> None:
        self._missed: set[Each] = set()

    def miss(self, link: Each, until: float, now: float) -> float | None:
        """Return the longest delay before the next attempt at `link`, in seconds: one, or more if many are missed.

        None from `until` on: there is no haste.
        """
        if now >= until:
            self.forget(link)
            return None
        self._missed.add(link)
        return max(DELAY_SECONDS, len(self._missed) / ATTEMPTS_A_SECOND)

    def forget(self, link: Each) -> None:
        """`link` is up, or has ended."""
        self._missed.discard(link)
