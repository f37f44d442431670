"""Tape: the bytes of an input, read as decisions one after the other. Past the end all of them are 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Each = TypeVar("Each")


class Tape:
    """Reads `data` from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        """From 0 to 255."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def choose(self, among: Sequence[Each]) -> Each:
        return among[self.byte() % len(among)]

    def take(self, size: int) -> bytes:
        """The next `size` bytes, or as many as are left."""
        self._at += size
        return self._data[self._at - size : self._at]

    def rest(self) -> bytes:
        return self.take(len(self._data))
