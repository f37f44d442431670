"""Pump: where the numbers of one connection come from: drawn when they are due, a run at a time."""

from __future__ import annotations

from typing import Final

from ..numbers.stream import LONGEST_LINE_BYTES, NumberStream
from ..protocol import MAX_OFFSET
from ..protocol.frames import Lines
from .pacing import Pacer

RUN_NUMBERS: Final = 16384
"""The most numbers in a run: a third of a megabyte, which a core's cache holds from the drawing to the kernel's copy.
Runs of half the size cost a quarter of the speed; larger ones gain nothing and hold the loop up for longer."""


class Pump:
    """Draws what `pacer` lets it, in order and without a gap from `offset` on."""

    def __init__(self, stream: NumberStream, offset: int, pacer: Pacer) -> None:
        self._stream = stream
        self._offset = offset
        self._pacer = pacer

    def next_run(self, now: float, room: int) -> tuple[Lines, int] | None:
        """The run that is due and its count of numbers, if `room` bytes hold it whatever is in it; else None."""
        count = min(self._pacer.due(now), RUN_NUMBERS, MAX_OFFSET - self._offset)
        if count == 0 or count * LONGEST_LINE_BYTES > room:
            return None
        run = self._stream.view(self._offset, count)
        self._offset += count
        self._pacer.take(count)
        return run, count

    def next_due(self) -> float:
        """When there will be a run, in seconds; infinity: the stream has ended."""
        return self._pacer.next_due() if self._offset < MAX_OFFSET else float("inf")
