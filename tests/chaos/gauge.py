"""Gauge: a proxy in front of one worker that fails as it is told, and writes down what it passed, and when."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, cast

LOOPBACK: Final = "127.0.0.1"
ACK: Final = re.compile(rb"^#ack offset=(\d+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Passed:
    """Bytes of a worker that reached the producer's side. `at` is in seconds since 1970."""

    at: float
    connection: int
    acked: int | None
    """The offset of the last ack among them."""


class Way(asyncio.Protocol):
    """One socket of a connection. What it reads is written to `other`."""

    def __init__(self, gauge: Gauge, number: int, *, is_worker: bool) -> None:
        self.gauge = gauge
        self.number = number
        self.is_worker = is_worker
        self.other: Way | None = None
        self.transport: asyncio.Transport | None = None
        self.early = b""
        self.held = b""
        """What a slow link still has of the worker."""
        self.is_silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not self.is_worker:
            self.gauge.open(self)

    def data_received(self, data: bytes) -> None:
        gauge = self.gauge
        if self.is_silent or (gauge.drops_worker if self.is_worker else gauge.drops_producer):
            self.is_silent = True  # a byte is missing: nothing that follows can be passed
        elif self.is_worker and gauge.is_slow:
            self.held += data
        else:
            self.pass_on(data)

    def pass_on(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self.early += data
            return
        if self.is_worker:
            acks = ACK.findall(data)
            self.gauge.passed.append(Passed(time.time(), self.number, int(acks[-1]) if acks else None))
        self.other.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.gauge.drops_worker or self.gauge.drops_producer or self.is_silent:
            return  # of which the other end hears nothing
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close() if error is None else self.other.transport.abort()

    def end(self, *, reset: bool) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if reset:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()


@dataclass
class Gauge:
    """Passes all connections to `port` on to `worker_port`, unless it is told to harm them."""

    worker: str
    worker_port: int
    port: int = 0
    passed: list[Passed] = field(default_factory=list)
    """Oldest first."""
    drops_worker: bool = False
    drops_producer: bool = False
    is_slow: bool = False
    refuses: bool = False
    ways: list[Way] = field(default_factory=list)
    opened: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Gauge]:
        await self._listen()
        try:
            yield self
        finally:
            self._server.close()
            self.end_all(reset=True)

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _accept(self) -> Way:
        self.opened += 1
        return Way(self, self.opened, is_worker=False)

    def open(self, near: Way) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(near))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, near: Way) -> None:
        self.ways.append(near)
        far = Way(self, near.number, is_worker=True)
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, LOOPBACK, self.worker_port)
        except OSError:
            near.end(reset=True)
            return
        self.ways.append(far)
        near.other, far.other = far, near
        for way in (near, far):
            if way.early:
                early, way.early = way.early, b""
                way.pass_on(early)

    # ---- faults

    def end_all(self, *, reset: bool) -> None:
        """Cut every connection: with RST, or with FIN."""
        ways, self.ways = self.ways, []
        for way in ways:
            way.end(reset=reset)

    async def refuse(self) -> None:
        """Listen no more."""
        self._server.close()
        self.end_all(reset=True)

    async def accept_again(self) -> None:
        await self._listen()

    def heal(self) -> None:
        """Drop nothing more. What has lost bytes is reset, as by a firewall that has forgotten it."""
        self.drops_worker = self.drops_producer = False
        self.end_all(reset=True)

    def let_go(self) -> None:
        """The slow link delivers what it held."""
        self.is_slow = False
        for way in self.ways:
            held, way.held = way.held, b""
            if held:
                way.pass_on(held)
