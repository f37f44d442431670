"""Pump: where the runs of one connection come from: drawn when due, or at full speed one run ahead on a thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final, Protocol

from .pacing import Pacer
from .protocol import MAX_NUMBER_LINE_BYTES, MAX_OFFSET
from .stream import NumberStream

RUN_NUMBERS: Final = 16384
"""Numbers in a run: a third of a megabyte, large against the cost of handing it over, small against a core's cache."""
RUNS_AHEAD: Final = 2
"""Runs that wait while the kernel copies another; more would only be memory."""


class Pump(Protocol):
    """A source of runs, in order and without a gap, from the offset it was made with."""

    def next_run(self, now: float, room: int) -> tuple[bytes, int] | None:
        """The next run and its count of numbers, within `room` bytes; None if there is none now."""

    def next_due(self) -> float:
        """When to ask again, in seconds; infinity: when there is room, or the pump wakes its owner."""

    def close(self) -> None:
        """Draw no more."""


class PacedPump:
    """Draws what is due, on the loop: microseconds a run."""

    def __init__(self, stream: NumberStream, offset: int, pacer: Pacer) -> None:
        self._stream = stream
        self._offset = offset
        self._pacer = pacer

    def next_run(self, now: float, room: int) -> tuple[bytes, int] | None:
        """See `Pump`."""
        fitting = min(room // MAX_NUMBER_LINE_BYTES, RUN_NUMBERS, MAX_OFFSET - self._offset)
        count = min(self._pacer.due(now), fitting)
        if count <= 0:
            return None
        run = self._stream.lines(self._offset, count)
        self._offset += count
        self._pacer.take(count)
        return run, count

    def next_due(self) -> float:
        """See `Pump`."""
        return self._pacer.next_due() if self._offset < MAX_OFFSET else float("inf")

    def close(self) -> None:
        """See `Pump`."""


class FullSpeedPump:
    """Draws ahead on a thread: while the kernel copies one run, which releases the GIL, the next is made."""

    def __init__(self, stream: NumberStream, offset: int, drawer: Executor, wake: Callable[[], None]) -> None:
        self._stream = stream
        self._offset = offset
        self._drawer = drawer
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._ready: deque[tuple[bytes, int]] = deque()
        self._drawing: asyncio.Future[tuple[bytes, int]] | None = None
        self._is_closed = False
        self._draw_ahead()

    def next_run(self, now: float, room: int) -> tuple[bytes, int] | None:
        """See `Pump`."""
        if not self._ready or len(self._ready[0][0]) > room:
            return None
        run = self._ready.popleft()
        self._draw_ahead()
        return run

    def next_due(self) -> float:
        """See `Pump`."""
        return float("inf")

    def close(self) -> None:
        """See `Pump`."""
        self._is_closed = True
        self._ready.clear()
        if self._drawing is not None:
            self._drawing.cancel()  # and the thread is free for other links

    def _draw_ahead(self) -> None:
        count = min(RUN_NUMBERS, MAX_OFFSET - self._offset)
        if self._drawing is None and count and len(self._ready) < RUNS_AHEAD and not self._is_closed:
            self._drawing = self._loop.run_in_executor(self._drawer, self._draw, self._offset, count)
            self._drawing.add_done_callback(self._drawn)
            self._offset += count

    def _draw(self, offset: int, count: int) -> tuple[bytes, int]:
        return self._stream.lines(offset, count), count

    def _drawn(self, drawing: asyncio.Future[tuple[bytes, int]]) -> None:
        self._drawing = None
        if self._is_closed or drawing.cancelled():
            return
        self._ready.append(drawing.result())
        self._draw_ahead()
        self._wake()
