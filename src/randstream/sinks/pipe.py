"""Pipe sinks: numbers as text to a file descriptor, which may block for as long as it likes."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

import structlog

from ..errors import SettingsError
from .immediate import ImmediateSink

BATCH_BYTES: Final = 2**20
"""The most that is written at once, and so the most that cannot be dropped any more."""
SMALL_BYTES: Final = 4096
"""Runs that wait are joined up to this: a million single numbers must not be a million objects."""
RETRY_SECONDS: Final = 1.0
"""How long a failed write, to a file on a full disk say, waits for its next attempt."""

log = structlog.get_logger("randstream")


class FdWriter(threading.Thread):
    """Writes to a descriptor on a thread, so that the loop never waits. A daemon: a stuck pipe holds up no exit."""

    def __init__(self, fd: int) -> None:
        super().__init__(name=f"write-{fd}", daemon=True)
        self._fd = fd
        self._batches: SimpleQueue[tuple[bytes, asyncio.Future[tuple[int, OSError | None]]] | None] = SimpleQueue()
        self.start()

    async def write(self, batch: bytes) -> tuple[int, OSError | None]:
        """Write `batch`: how many bytes were taken, and the error that stopped it short, if one did."""
        written: asyncio.Future[tuple[int, OSError | None]] = asyncio.get_running_loop().create_future()
        self._batches.put((batch, written))
        return await written

    def end(self) -> None:
        """Close the descriptor, once what was asked for is done."""
        self._batches.put(None)

    def run(self) -> None:
        """threading: the thread's body."""
        while (asked := self._batches.get()) is not None:
            batch, written = asked
            outcome = _write_all(self._fd, batch)
            try:
                written.get_loop().call_soon_threadsafe(_settle, written, outcome)
            except RuntimeError:  # the loop has closed: nobody waits any more
                break
        os.close(self._fd)


def _write_all(fd: int, batch: bytes) -> tuple[int, OSError | None]:
    view = memoryview(batch)
    taken = 0
    while taken < len(view):
        try:
            taken += os.write(fd, view[taken:])
        except BlockingIOError:  # it is shared with a process that made it so
            select.select([], [fd], [])
        except OSError as error:
            return taken, error
    return taken, None


def _settle(written: asyncio.Future[tuple[int, OSError | None]], outcome: tuple[int, OSError | None]) -> None:
    if not written.done():
        written.set_result(outcome)


class PipeSink(ImmediateSink):
    """Passes runs to an `FdWriter`. What has begun to be written counts as passed on; what waits can be dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._waiting_bytes = 0
        self._appended_bytes = 0
        self._passed_bytes = 0
        self._change = asyncio.Event()

    async def commit(self) -> int:
        """Wait until the descriptor has taken all that was appended before."""
        offset, target = self._proven_offset, self._appended_bytes
        await self._wait_until(lambda: self._passed_bytes >= target)
        return offset

    async def wait_room(self) -> None:
        """Wait until less than a batch is waiting."""
        await self._wait_until(lambda: self._waiting_bytes < BATCH_BYTES)

    async def run(self) -> None:
        """Write, until `_write` says that there is no point any more."""
        while True:
            await self._wait_until(lambda: bool(self._waiting))
            batch = self._next_batch()
            if not await self._write(batch):
                return
            self._passed_bytes += len(batch)
            self._notify()

    @abstractmethod
    async def _write(self, batch: bytes) -> bool:
        """Write all of `batch`, however long it takes. False: nobody will ever read it."""

    def _pass_on(self, run: bytes, counted: int) -> None:
        self._waiting_bytes += len(run)
        self._appended_bytes += len(run)
        if self._waiting and len(self._waiting[-1][0]) + len(run) <= SMALL_BYTES:
            last, before = self._waiting.pop()
            run, counted = last + run, before + counted
        self._waiting.append((run, counted))
        self._notify()

    def _drop_waiting(self) -> None:
        self._offset -= sum(counted for _, counted in self._waiting)
        self._appended_bytes -= self._waiting_bytes
        self._waiting.clear()
        self._waiting_bytes = 0

    def _next_batch(self) -> bytes:
        runs: list[bytes] = []
        size = 0
        while self._waiting and (not runs or size + len(self._waiting[0][0]) <= BATCH_BYTES):
            run, _ = self._waiting.popleft()
            runs.append(run)
            size += len(run)
        self._waiting_bytes -= size
        return b"".join(runs)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._change.wait()

    def _notify(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()


class StdoutSink(PipeSink):
    """Numbers on standard output. A closed reader, as with `| head`, is a polite end."""

    def __init__(self, fd: int = 1) -> None:
        super().__init__()
        self._fd = fd
        self._writer: FdWriter | None = None

    async def start(self) -> None:
        """See `Sink`."""
        try:
            self._writer = FdWriter(os.dup(self._fd))
        except OSError as error:
            raise SettingsError(f"cannot write to standard output: {error.strerror}; open it, or --discard") from error

    async def close(self) -> None:
        """See `Sink`."""
        assert self._writer is not None
        self._writer.end()

    async def _write(self, batch: bytes) -> bool:
        assert self._writer is not None
        while True:
            taken, error = await self._writer.write(batch)
            if error is None:
                if self.problem is not None:
                    self.problem = None
                    log.info("sink.recovered")
                return True
            if error.errno == errno.EPIPE:
                return False
            if self.problem is None:
                self.problem = f"cannot write to standard output: {error.strerror}"
                log.error("sink.failing", error=self.problem, retry_in=RETRY_SECONDS)
            batch = batch[taken:]
            await asyncio.sleep(RETRY_SECONDS)
