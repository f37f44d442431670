"""Budget: what all links of a process together may hold unsent, in equal parts. Pure."""

from __future__ import annotations

from typing import Final

MOST_BYTES: Final = 2**20 + 2**19
"""What one link can use: more unsent bytes make no stream faster."""
LEAST_BYTES: Final = 4096
"""What a link may hold whatever others do, so that all move: with ten thousand links 40 MiB."""


class SendBudget:
    """`total` bytes for all that share it. A link that reads nothing keeps its part, and takes none of another's.

    What is left, divided by how many share it: the parts of those that hold nothing are there when they need them,
    and the sum stays below `total`, in whatever order parts are taken (but for LEAST_BYTES each).
    """

    def __init__(self, total: int = MOST_BYTES) -> None:
        self.held = 0
        """Bytes that are unsent now. Whoever holds them counts them."""
        self._total = total
        self._sharers: set[object] = set()

    def join(self, sharer: object) -> None:
        """`sharer` sends, or is about to. Idempotent."""
        self._sharers.add(sharer)

    def leave(self, sharer: object) -> None:
        """`sharer` sends no more, though it may still hold something. Idempotent."""
        self._sharers.discard(sharer)

    @property
    def share(self) -> int:
        """The most that one of them may hold now, in bytes."""
        share = (self._total - self.held) // (len(self._sharers) or 1)
        return LEAST_BYTES if share < LEAST_BYTES else min(share, MOST_BYTES)
