"""Pipe sinks: numbers as text to a file descriptor, which may block for any length of time."""

from __future__ import annotations

import asyncio
import os
import select
import threading
from abc import abstractmethod
from queue import SimpleQueue

from ..clock import Clock
from ..observe.sink_report import SinkReport
from .queued import QueuedSink


class FdWriter(threading.Thread):
    """Writes to a descriptor on a thread, so the loop never waits. A daemon, so a stuck pipe never delays an exit."""

    def __init__(self, fd: int) -> None:
        super().__init__(name=f"write-{fd}", daemon=True)
        self._fd = fd
        self._batches: SimpleQueue[tuple[bytes, asyncio.Future[tuple[int, OSError | None]]] | None] = SimpleQueue()
        self.start()

    async def write(self, batch: bytes) -> tuple[int, OSError | None]:
        """Write `batch`; return how many bytes were taken, and the error that cut it short, if one did."""
        written: asyncio.Future[tuple[int, OSError | None]] = asyncio.get_running_loop().create_future()
        self._batches.put((batch, written))
        return await written

    def end(self) -> None:
        """Close the descriptor once the writes before this are done."""
        self._batches.put(None)

    def run(self) -> None:
        while (asked := self._batches.get()) is not None:
            batch, written = asked
            outcome = _write_all(self._fd, batch)
            try:
                written.get_loop().call_soon_threadsafe(_settle, written, outcome)
            except RuntimeError:  # the loop has closed: nothing waits any more
                break
        os.close(self._fd)


def _write_all(fd: int, batch: bytes) -> tuple[int, OSError | None]:
    view = memoryview(batch)
    taken = 0
    while taken < len(view):
        try:
            taken += os.write(fd, view[taken:])
        except BlockingIOError:  # a process that shares it has made it non-blocking
            select.select([], [fd], [])
        except OSError as error:
            return taken, error
    return taken, None


def _settle(written: asyncio.Future[tuple[int, OSError | None]], outcome: tuple[int, OSError | None]) -> None:
    if not written.done():
        written.set_result(outcome)


class PipeSink(QueuedSink):
    """Passes batches to an `FdWriter`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    async def run(self, report: SinkReport) -> None:
        """Write, until `_write` finds that its reader has gone for good."""
        while True:
            await self._wait_until(lambda: bool(self._waiting))
            batch = self._take_batch()
            if not await self._write(batch, report):
                return
            self._note_passed(len(batch))
            if not self._waiting:  # also if the worker has given up waiting for it
                report.went_on(self._clock.now())

    @abstractmethod
    async def _write(self, batch: bytes, report: SinkReport) -> bool:
        """Write all of `batch`, however long it takes. False: its reader has gone for good."""
