"""DurableSink: a worker's store as a sink. It takes numbers at the beat that proves them, and owns their offset.

Lives on the loop's thread and never blocks it: the store has a thread of its own, which does one thing at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar, TypeVarTuple

import structlog

from ..clock import Clock
from ..errors import LocalProtocolError, SinkError
from ..observe.sink_report import SinkReport
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..protocol import MAX_CONTROL_LINE_BYTES
from ..protocol.frames import Beat, Lines, Open
from ..protocol.troubles import Taker
from .files import Files, OSFiles
from .segment import PendingInterval
from .store import Store

log = structlog.get_logger("randstream")

COMMIT_BYTES: Final = 64 * 2**20
"""The most that one commit writes: two windows, which holds no stream back, and less than `RECOVERY_BYTES`."""
START_RETRY_SECONDS: Final = 1.0
"""How long to wait after a store could not start before trying again."""
_SMALL_RUN_BYTES: Final = 4096
"""Shorter runs are joined: a peer that sends single numbers must not make us keep an object for each."""

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class DurableSink:
    """Stores one worker's numbers in `folder`, at `folder/<worker>-<stream>/`. Implements `Sink` and `Stored`.

    Args:
        folder: the store; made if it is missing. Several workers may share it.
        worker: whose numbers; one process at a time may be that worker on this store.
        segment_bytes: the commit that brings a segment to this size is its last.
        retain_bytes: a segment is removed once those after it hold this many bytes; None: never.
        clock, files: the time and the file system, for tests.
    """

    taker_kind = Taker.DISK

    def __init__(
        self,
        folder: Path,
        worker: str,
        *,
        segment_bytes: int = 2**30,
        retain_bytes: int | None = None,
        clock: Clock | None = None,
        files: Files | None = None,
    ) -> None:
        self.taker = f"the disk of {folder}"
        self._clock = clock or Clock()
        self._store = Store(folder, worker, segment_bytes, retain_bytes, files or OSFiles())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._running: asyncio.Future[Any] | None = None
        self._waiting: deque[PendingInterval] = deque()
        self._proven_offset = 0
        self._runs: list[Lines] = []
        self._count = 0
        self._size = 0
        self._lines = Throttle(LINES_A_MINUTE)

    @property
    def problem(self) -> str | None:
        return self._store.problem

    @property
    def is_full(self) -> bool:
        return self._store.is_full

    @property
    def warning(self) -> str | None:
        """Why old segments could not be removed, and the disk fills; what in the folder is not the store's; and which
        other streams of the worker there are.
        """
        store = self._store
        return "; ".join(filter(None, (store.retention_problem, store.foreign_problem, store.seed_problem))) or None

    @property
    def other_streams(self) -> int:
        return len(self._store.other_streams)

    @property
    def path(self) -> Path | None:
        return self._store.path

    @property
    def committed_offset(self) -> int | None:
        return self._store.committed_offset

    async def start(self) -> None:
        """Make the folder if it is missing, and lock it for this worker. `run` handles what a disk may recover from.

        Raises SettingsError: it is no folder, cannot be written, or is locked by another process.
        """
        with suppress(SinkError):
            await self._run(self._store.start)

    async def open(self, offered: Open) -> int:
        """Recover or begin the stream, and return the offset of the number wanted next, 0 if nothing is stored.

        Waits for a commit that still runs; drops what was appended but is in no commit yet. Raises SinkError: not
        now, ask again; DamagedStore: not before a person has repaired it.
        """
        before = self._store.recovery
        offset = await self._run(self._store.open, offered)
        if (found := self._store.recovery) is not None and found is not before:
            self._lines.say(
                log.warning if found.cut_bytes else log.info, "store.recovered", self._clock.now(),
                path=str(found.path), offset=found.offset, cut_bytes=found.cut_bytes,
            )  # fmt: skip
        self._waiting.clear()
        self._forget_unproven()
        self._proven_offset = offset
        return offset

    def begin(self, offset: int) -> None:
        raise LocalProtocolError(f"the producer may not choose an offset ({offset}): a store names it")

    def append(self, lines: Lines, count: int) -> None:
        if self._runs and max(len(lines), len(self._runs[-1])) < _SMALL_RUN_BYTES:
            self._runs[-1] = bytes(self._runs[-1]) + lines
        else:
            self._runs.append(lines)
        self._count += count
        self._size += len(lines)

    def prove(self, beat: Beat) -> bool:
        """Put what was appended into the next commit, with `beat`. A beat that proves no numbers is not stored."""
        if beat.offset != self._proven_offset + self._count:
            raise LocalProtocolError(f"a beat at {beat.offset} after {self._proven_offset} + {self._count} numbers")
        if self._runs:
            self._waiting.append(PendingInterval(self._proven_offset, self._runs, beat, self._size))
            self._proven_offset = beat.offset
            self._forget_unproven()
        return False

    async def commit(self) -> int:
        """Make all that is proven durable. If cancelled, what has begun continues, and the next call waits for it."""
        wanted_offset = self._proven_offset
        while True:
            while self._running is not None and not self._running.done():
                await asyncio.wait([self._running])
            offset = self._store.committed_offset
            if offset is None:
                raise SinkError("no stream is open")
            while self._waiting and self._waiting[0].first < offset:
                self._waiting.popleft()
            if not self._waiting or offset >= wanted_offset:
                return offset
            await self._run(self._store.commit, self._next_batch())

    def rewind(self) -> None:
        self._forget_unproven()  # none of it was passed on

    async def run(self, report: SinkReport) -> None:
        """Start, if the disk did not allow it before: a full disk may have room again. Then do nothing, for ever."""
        while not self._store.is_started:
            try:
                await self._run(self._store.take_folder)
            except SinkError as error:
                report.failed(str(error), self._clock.now(), retry_in=START_RETRY_SECONDS)
                await asyncio.sleep(START_RETRY_SECONDS)
            else:
                report.worked(self._clock.now())
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Release the lock, after a commit that still runs."""
        try:
            await self._run(self._store.close)
        finally:
            self._thread.shutdown(wait=False)

    def _next_batch(self) -> list[PendingInterval]:
        batch: list[PendingInterval] = []
        size = 0
        for interval in self._waiting:
            size += interval.size + MAX_CONTROL_LINE_BYTES
            if batch and size > COMMIT_BYTES:
                break
            batch.append(interval)
        return batch

    def _forget_unproven(self) -> None:
        self._runs, self._count, self._size = [], 0, 0

    async def _run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """Call `function` on the thread, after what still runs there. Cancelling this does not end it."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)
        # A failure may have no one left to await it, and asyncio would complain; `problem` has it.
        running.add_done_callback(lambda ended: ended.exception())
        self._running = running
        await asyncio.wait([running])
        return running.result()
