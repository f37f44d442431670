"""Budget: how many unsent bytes all links of a process may hold together, in equal parts. Pure."""

from __future__ import annotations

from typing import Final

MOST_BYTES: Final = 2**20 + 2**19
"""The most that one link can use: more unsent bytes make no stream faster."""
LEAST_BYTES: Final = 4096
"""What a link may always hold, so that all move: 40 MiB with ten thousand links."""


class SendBudget:
    """`total` bytes, shared by all links. A link whose peer reads nothing fills its own part, and no other link's.

    A part is what is left, divided by the number of sharers: links that hold nothing find their parts when they need
    them, and the sum stays below `total` in whatever order parts are taken (apart from LEAST_BYTES each).
    """

    def __init__(self, total: int = MOST_BYTES) -> None:
        self.held = 0
        """Bytes that are unsent now, counted by their holders."""
        self._total = total
        self._sharers: set[object] = set()

    def join(self, sharer: object) -> None:
        """Add `sharer`, which sends or is about to. Idempotent."""
        self._sharers.add(sharer)

    def leave(self, sharer: object) -> None:
        """Remove `sharer`, which sends no more but may still hold something. Idempotent."""
        self._sharers.discard(sharer)

    @property
    def share(self) -> int:
        """The most that one of them may hold now, in bytes."""
        share = (self._total - self.held) // (len(self._sharers) or 1)
        return LEAST_BYTES if share < LEAST_BYTES else min(share, MOST_BYTES)
