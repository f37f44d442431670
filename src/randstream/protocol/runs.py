"""Runs: number lines that know their place in a stream, as read from a store or given to listeners. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """`count` whole number lines, the first of them number `offset`."""

    offset: int
    lines: bytes
    count: int

    @property
    def end_offset(self) -> int:
        """The offset of the number after the last."""
        return self.offset + self.count

    def pieces(self, size: int) -> Iterator[Run]:
        """Yield the run in parts of about `size` bytes, each of whole lines."""
        start, offset = 0, self.offset
        while start < len(self.lines):
            end = self.lines.find(b"\n", start + size) + 1 or len(self.lines)
            lines = self.lines[start:end]
            piece = Run(offset, lines, lines.count(b"\n"))
            yield piece
            start, offset = end, piece.end_offset
