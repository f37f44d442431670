"""Tap: copies of the runs that pass into a worker, for listeners. It never holds the stream up.

It does not wait for a listener that falls behind, but drops it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from ..protocol.frames import Lines
from ..protocol.runs import Run

WAITING_BYTES: Final = 4 * 2**20
"""The most that may wait for a listener: seconds' worth of most streams, and little memory."""


@runtime_checkable
class Stored(Protocol):
    """A sink that can be read again: the folder of the open stream, and the offset below which all of it is stored.

    Both are None while no stream is open.
    """

    @property
    def path(self) -> Path | None: ...
    @property
    def committed_offset(self) -> int | None: ...

    @property
    def other_streams(self) -> int:
        """How many other streams of the same worker are stored."""


class Listener:
    """Gets the runs from `first` on, without a gap. Made by `Tap.listen`."""

    def __init__(self, tap: Tap, first: int) -> None:
        self.first = first
        self._tap = tap
        self._is_over = False
        self._next_offset = first
        self._waiting: deque[Run] = deque()
        self._waiting_bytes = 0
        self._change = asyncio.Event()

    def take(self, run: Run) -> None:
        """Only for `Tap`: a run has passed."""
        if run.offset != self._next_offset or self._waiting_bytes + len(run.lines) > WAITING_BYTES:
            self.close()
            return
        self._next_offset = run.end_offset
        self._waiting.append(run)
        self._waiting_bytes += len(run.lines)
        self._change.set()

    async def next_run(self, patience: float | None = None) -> Run | None:
        """Return the next run, or an empty one if none comes for `patience` seconds.

        None if the listener fell behind, or the stream went on elsewhere.
        """
        if not self._waiting and not self._is_over:
            self._change.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._change.wait()
        if self._is_over:
            return None
        if not self._waiting:
            return Run(self._next_offset, b"", 0)
        run = self._waiting.popleft()
        self._waiting_bytes -= len(run.lines)
        return run

    def close(self) -> None:
        """Stop listening. Idempotent."""
        self._is_over = True
        self._waiting.clear()
        self._change.set()
        self._tap.forget(self)


class Tap:
    """The place that runs pass. `store`: where those that have passed can be read again, if anywhere."""

    def __init__(self, store: Stored | None) -> None:
        self.store = store
        self.offset = 0
        """That of the number that passes next. Set it where the stream goes on; listeners elsewhere are dropped."""
        self._listeners: dict[Listener, None] = {}

    def pass_on(self, lines: Lines, count: int) -> None:
        """Give a run to all listeners."""
        for listener in list(self._listeners):
            listener.take(Run(self.offset, bytes(lines), count))
        self.offset += count

    def listen(self) -> Listener:
        """Return a listener for what passes from now on."""
        listener = Listener(self, self.offset)
        self._listeners[listener] = None
        return listener

    def forget(self, listener: Listener) -> None:
        """Only for `Listener`."""
        self._listeners.pop(listener, None)
