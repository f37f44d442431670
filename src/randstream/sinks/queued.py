"""Queued sinks: what arrives waits for a reader that may be slower, within the window of the wire."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ..protocol.frames import Beat, Lines, Open
from .immediate import ImmediateSink

BATCH_BYTES: Final = 2**20
"""The most that is taken at once, and so the most that cannot be dropped any more."""
SMALL_BYTES: Final = 4096
"""Runs that wait are joined up to this: a million single numbers must not be a million objects."""


class QueuedSink(ImmediateSink):
    """Keeps runs until they are taken, a batch at a time.

    What has been taken counts as passed on; what waits can be dropped, and is when the next connection opens.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[tuple[Lines, int]] = deque()
        self._waiting_bytes = 0
        self._appended_bytes = 0
        self._passed_bytes = 0
        self._change = asyncio.Event()

    async def open(self, offered: Open) -> int | None:
        """Wait until all that was taken has been passed on: the offset named now is acknowledged at once."""
        self._drop_waiting()
        await self.wait_passed()
        return await super().open(offered)

    def prove(self, beat: Beat) -> bool:
        return super().prove(beat) and self._passed_bytes >= self._appended_bytes

    async def commit(self) -> int:
        offset, target = self._proven_offset, self._appended_bytes
        await self._wait_until(lambda: self._passed_bytes >= target)
        return offset

    async def wait_room(self) -> None:
        await self._wait_until(lambda: self._waiting_bytes < BATCH_BYTES)

    async def wait_passed(self) -> None:
        await self._wait_until(lambda: self._passed_bytes >= self._appended_bytes)

    def _pass_on(self, lines: Lines, counted: int) -> None:
        self._waiting_bytes += len(lines)
        self._appended_bytes += len(lines)
        is_small = bool(self._waiting) and len(self._waiting[-1][0]) + len(lines) <= SMALL_BYTES
        if is_small and (self._waiting[-1][1] > 0) is (counted > 0):
            last, before = self._waiting.pop()
            lines, counted = bytes(last) + lines, before + counted
        self._waiting.append((lines, counted))
        self._notify()

    def _drop_waiting(self) -> None:
        """Drop what a stream will send again; a raw peer's numbers, which moved no offset, come only once."""
        kept = deque(entry for entry in self._waiting if not entry[1])
        kept_bytes = sum(len(lines) for lines, _ in kept)
        self._offset -= sum(counted for _, counted in self._waiting)
        self._appended_bytes -= self._waiting_bytes - kept_bytes
        self._waiting, self._waiting_bytes = kept, kept_bytes

    def _take_batch(self) -> bytes:
        taken: list[Lines] = []
        size = 0
        while self._waiting and (not taken or size + len(self._waiting[0][0]) <= BATCH_BYTES):
            lines, _ = self._waiting.popleft()
            taken.append(lines)
            size += len(lines)
        self._waiting_bytes -= size
        return b"".join(taken)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._change.wait()

    def _notify(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    def _note_passed(self, size: int) -> None:
        """A whole batch, of `size` bytes, has been passed on."""
        self._passed_bytes += size
        self._notify()
