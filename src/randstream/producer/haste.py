"""Haste: a worker that was there a moment ago is dialled each second. Pure: never reads a clock."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

HASTE_SECONDS: Final = 60.0
"""A pod that is restarted is back within that. Whoever takes longer does not notice the longest delay of 5 s."""
DELAY_SECONDS: Final = 1.0
ATTEMPTS_A_SECOND: Final = 200
"""Links that are dialled each second; more wait longer. If a name is gone and there is a search list, an attempt may be
eight questions to DNS."""

Each = TypeVar("Each")


class Haste(Generic[Each]):
    """Whom it is worth dialling each second, and how often if there are many."""

    def __init__(self) -> None:
        self._missed: set[Each] = set()

    def miss(self, link: Each, until: float, now: float) -> float | None:
        """The longest delay before the next attempt at `link`, in seconds: one, or more if there are many.

        None from `until` on: there is no hurry.
        """
        if now >= until:
            self.forget(link)
            return None
        self._missed.add(link)
        return max(DELAY_SECONDS, len(self._missed) / ATTEMPTS_A_SECOND)

    def forget(self, link: Each) -> None:
        """`link` is up, or has ended."""
        self._missed.discard(link)
