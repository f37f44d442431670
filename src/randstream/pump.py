"""Pump: where the runs of one connection come from: drawn when due, or at full speed one run ahead on a thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Final, Protocol

from .pacing import Pacer
from .protocol import MAX_NUMBER_LINE_BYTES, MAX_OFFSET
from .protocol.frames import Lines
from .stream import NumberStream

RUN_NUMBERS: Final = 131072
"""Numbers in a run: two or three megabytes, two milliseconds to draw. Smaller ones cost more in going from thread to
loop, at 16384 a quarter of a producer's speed; larger ones only memory."""
NOW: Final = float("-inf")
"""What was due before any time."""
RUNS_AHEAD: Final = 2
"""Runs drawn or asked for, so that the thread goes from one to the next without waiting for the loop."""


class Pump(Protocol):
    """A source of runs, in order and without a gap, from the offset it was made with."""

    def next_run(self, now: float, room: int) -> tuple[Lines, int] | None:
        """The next run and its count of numbers, within `room` bytes; None if there is none now."""

    def next_due(self) -> float:
        """When there will be a run, in seconds; infinity: when the pump wakes its owner, if ever."""

    def close(self) -> None:
        """Draw no more."""


class PacedPump:
    """Draws what is due, on the loop: microseconds a run."""

    def __init__(self, stream: NumberStream, offset: int, pacer: Pacer) -> None:
        self._stream = stream
        self._offset = offset
        self._pacer = pacer

    def next_run(self, now: float, room: int) -> tuple[Lines, int] | None:
        """See `Pump`."""
        due = self._pacer.due(now)
        count = min(due, room // MAX_NUMBER_LINE_BYTES, RUN_NUMBERS, MAX_OFFSET - self._offset) if due else 0
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
    """Draws ahead on a thread: while the kernel copies one run (see `write_now`), the next is made."""

    def __init__(self, stream: NumberStream, offset: int, drawer: Executor, wake: Callable[[], None]) -> None:
        self._stream = stream
        self._offset = offset
        self._drawer = drawer
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._runs: deque[Future[tuple[Lines, int]]] = deque()
        self._is_closed = False
        self._draw_ahead()

    def next_run(self, now: float, room: int) -> tuple[Lines, int] | None:
        """See `Pump`."""
        if not self._runs or not self._runs[0].done():
            return None
        run = self._runs[0].result()
        if len(run[0]) > room:
            return None
        self._runs.popleft()
        self._draw_ahead()
        return run

    def next_due(self) -> float:
        """See `Pump`."""
        return NOW if self._runs and self._runs[0].done() else float("inf")

    def close(self) -> None:
        """See `Pump`."""
        self._is_closed = True
        for run in self._runs:
            run.cancel()  # and the thread is free for other links
        self._runs.clear()

    def _draw_ahead(self) -> None:
        while len(self._runs) < RUNS_AHEAD and (count := min(RUN_NUMBERS, MAX_OFFSET - self._offset)):
            run = self._drawer.submit(self._draw, self._offset, count)
            run.add_done_callback(self._on_drawn)
            self._runs.append(run)
            self._offset += count

    def _draw(self, offset: int, count: int) -> tuple[Lines, int]:
        return self._stream.view(offset, count), count

    def _on_drawn(self, run: Future[tuple[Lines, int]]) -> None:
        """On the thread that drew."""
        if not run.cancelled():
            with suppress(RuntimeError):  # the loop has closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake_up)

    def _wake_up(self) -> None:
        if not self._is_closed:
            self._wake()
