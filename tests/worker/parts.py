"""Parts of the worker's tests: a sink whose commits can be held up, lines of the stream, and the live session."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tests.protocol.network import beat_line
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.errors import SinkError
from randstream.protocol.frames import Beat, Lines, Open
from randstream.worker.session import Session
from randstream.worker.worker import Worker

OTHER_STREAM: Final = "0123456789abcdef"


class Vault:
    """A revocable sink whose commits wait for `gate`. Implements `Sink`."""

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
        self._unproven += lines

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


def live_session(worker: Worker) -> Session:
    """The session that has the sink."""
    session = worker.admission.live
    assert isinstance(session, Session)
    return session


def transport_of(session: Session) -> asyncio.Transport:
    assert session.connection.transport is not None
    return session.connection.transport


async def wait_acked(session: Session, offset: int) -> None:
    await until(lambda: session.receiver.acked_offset == offset)
