"""Vault: sinks that tests of sessions hold back, and what they are given."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.protocol.network import beat_line
from tests.support.clock import clock_of_loop
from tests.support.sinks import Memory
from tests.support.stream import stream

from randstream.errors import SinkError
from randstream.observe.sink_report import SinkReport
from randstream.protocol.frames import Beat, Lines, Open
from randstream.protocol.troubles import Taker
from randstream.sinks.pipe import PipeSink

OTHER_STREAM = "0123456789abcdef"
INSTANCE = "5f0c8e2b94d1a637"


class Vault:
    """A revocable sink whose commits last until they are let. Implements `Sink`."""

    taker = "the vault"
    taker_kind = Taker.PROGRAM
    is_full = False

    def __init__(self) -> None:
        self.problem: str | None = None
        self.warning: str | None = None
        self.stored = b""
        self.offset = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_committing = False
        self.opened = 0
        self.failures: list[str] = []
        self._unproven = b""
        self._waiting: list[tuple[int, bytes]] = []
        self._done = asyncio.Event()
        self._done.set()
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None: ...

    async def open(self, offered: Open) -> int | None:
        if self.failures:
            raise SinkError(self.failures.pop())
        await self._done.wait()
        self.opened += 1
        self._unproven, self._waiting = b"", []
        return self.offset

    def begin(self, offset: int) -> None:
        raise AssertionError("it always names an offset")

    def append(self, lines: Lines, count: int) -> None:
        self._unproven += bytes(lines)

    def prove(self, beat: Beat) -> bool:
        self._waiting.append((beat.offset, self._unproven))
        self._unproven = b""
        return False

    async def commit(self) -> int:
        if self.failures:
            raise SinkError(self.failures.pop())
        batch, self._waiting = self._waiting, []
        self._done.clear()
        task = asyncio.get_running_loop().create_task(self._store(batch))
        self._background.add(task)
        await asyncio.shield(task)
        return self.offset

    async def _store(self, batch: list[tuple[int, bytes]]) -> None:
        self.is_committing = True
        await self.gate.wait()
        self.is_committing = False
        for offset, lines in batch:
            self.stored += lines
            self.offset = offset
        self._done.set()

    def rewind(self) -> tuple[int, int] | None:
        return None

    async def run(self, report: Any) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        await self._done.wait()


def numbers(offset: int, count: int) -> bytes:
    return stream().lines(offset, count)


def interval(offset: int, count: int, t: str = "1") -> bytes:
    """`count` numbers and the beat that proves them."""
    return numbers(offset, count) + beat_line(offset + count, numbers(offset, count), t)


class Narrow(Memory):
    """Takes what it is given, but says when there is room for more."""

    def __init__(self) -> None:
        super().__init__()
        self.room = asyncio.Event()
        self.waits = 0

    async def wait_room(self) -> None:
        self.waits += 1
        await self.room.wait()


class Grudging(Memory):
    """Takes what it is given; each of `failures` is one commit that fails first."""

    def __init__(self, failures: list[str]) -> None:
        super().__init__()
        self.failures = failures

    async def commit(self) -> int:
        if self.failures:
            raise SinkError(self.failures.pop(0))
        return await super().commit()


class Late(PipeSink):
    """Writes nothing until the test lets it."""

    def __init__(self) -> None:
        super().__init__(clock_of_loop())
        self.gate = asyncio.Event()
        self.begun = self.written = b""

    async def _write(self, batch: bytes, report: SinkReport) -> bool:
        self.begun += batch
        await self.gate.wait()
        self.written += batch
        return True
