"""Haste: a worker that was there a moment ago is dialled each second. Pure: never reads a clock."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

HASTE_SECONDS: Final = 60.0
"""A pod that is restarted is back within that. Whoever takes longer does not notice the longest delay of 5 s."""
DELAY_SECONDS: Final = 1.0
ATTEMPTS_A_SECOND: Final = 200
"""About so many of all that are in haste: each may be eight questions to DNS, if a name is gone and there is a search
list."""

Each = TypeVar("Each")


class Haste(Generic[Each]):
    """Whom it is worth dialling each second, and how often if there are many."""

    def __init__(self) -> None:
        self._missed: dict[Each, float] = {}

    def miss(self, link: Each, until: float, now: float) -> float | None:
        """The longest delay before the next attempt at `link`, in seconds; None from `until` on: there is no hurry."""
        if now >= until:
            self.forget(link)
            return None
        self._missed[link] = until
        return self.delay

    def forget(self, link: Each) -> None:
        """`link` is up, or has ended."""
        self._missed.pop(link, None)

    @property
    def delay(self) -> float:
        """A second, or as much more as there are many."""
        return max(DELAY_SECONDS, len(self._missed) / ATTEMPTS_A_SECOND)
