"""FaultProxy: a proxy in front of one worker that fails on demand. Loopback only; every choice is seeded.

It reads what both ends write before any fault changes it, and reports it to a `Witness`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, Protocol

from tests.chaos.harm import Harm
from tests.chaos.plan import CUTS, Fault, Kind
from tests.chaos.promises import Promises

LOOPBACK: Final = "127.0.0.1"
READ_BYTES: Final = 2**15
BUFFER_BYTES: Final = 2**17
"""What the kernel may buffer: little, so that a fault hits recent bytes."""
BYTES_A_SECOND: Final = 2 * 2**20
"""A limit, so that a producer at full speed does not take up the machine."""
SLICES_A_BURST: Final = 64
TINY_WINDOW_BYTES: Final = 2048


class Witness(Protocol):
    """Is told of promises: see `Ledger`."""

    def said(self, worker: str, verb: str, offset: int) -> None: ...

    def heard(self, worker: str, offset: int, *, was_said: bool) -> None: ...

    def parted(self, worker: str, reason: str) -> None: ...


@dataclass(slots=True)
class Mood:
    """How the network behaves at the moment."""

    delay: float = 0.0
    """Seconds by which each chunk is delayed."""
    is_sliced: bool = False
    is_throttled: bool = False


@dataclass(eq=False, slots=True)
class Way:
    """One direction of one connection."""

    source: socket.socket
    sink: socket.socket
    to_worker: bool
    is_open: asyncio.Event
    before: Promises | None = None
    after: Promises | None = None
    last_forwarded_at: float = 0.0
    """Seconds of the wall clock, to compare with the logs of both ends."""


class Connection:
    """A producer's socket, a worker's socket, and both directions between them."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.was_shut = False
        self.ways = (Way(near, far, True, self.is_open), Way(far, near, False, self.is_open))

    def prefer_reset(self) -> None:
        """Have `close` send RST instead of FIN, which also discards what the peers have not read."""
        for sock in (self.near, self.far):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        self.near.close()
        self.far.close()


class FaultProxy:
    """Listens on `port` for producers, and passes their connections on to `worker` at `worker_port`."""

    def __init__(self, worker: str, worker_port: int, witness: Witness, *, heartbeat: float) -> None:
        self.worker = worker
        self.port = 0
        self.mood = Mood()
        self.connections: list[Connection] = []
        """Those that are established, oldest first."""
        self._worker_port = worker_port
        self._witness = witness
        self._heartbeat = heartbeat
        self._harms: dict[bool, Harm] = {}
        self._carriers: dict[Connection, asyncio.Task[None]] = {}
        self._shut: list[Connection] = []
        self._shuts_all = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        """Listen until the block ends, then close everything."""
        listener = socket.create_server((LOOPBACK, 0), backlog=64)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self.port = listener.getsockname()[1]
        try:
            async with asyncio.TaskGroup() as group:
                accepting = group.create_task(self._accept(listener, group))
                try:
                    yield self
                finally:
                    accepting.cancel()
                    for carrier in self._carriers.values():
                        carrier.cancel()
        finally:
            listener.close()

    # ---- faults ----------------------------------------------------------------------------------------------------

    def reset(self) -> int:
        """Reset every connection now; how many there were."""
        carried = list(self.connections)
        for connection in carried:
            self._end(connection, reset=True)
        return len(carried)

    def shut(self, *, for_all: bool = False) -> int:
        """Blackhole: carry nothing on the present connections, nor on new ones if `for_all`; how many there are."""
        carried = list(self.connections)
        for connection in carried:
            self._shut_one(connection)
        self._shuts_all = for_all
        return len(carried)

    def _shut_one(self, connection: Connection) -> None:
        connection.is_open.clear()
        connection.was_shut = True
        self._shut.append(connection)

    def unshut(self, *, reset: bool) -> None:
        """End the blackhole: what was held back arrives late, or with `reset` is lost with its connection."""
        for connection in self._shut:
            if reset and connection in self._carriers:
                self._end(connection, reset=True)
            else:
                connection.is_open.set()
        self._shut = []
        self._shuts_all = False

    def arm(self, fault: Fault) -> Harm:
        """Strike at one of the next bytes in the fault's direction."""
        random = Random(fault.seed)
        if fault.hits_handshake:
            self.reset()
            skip = random.randrange(160)
        else:
            # Few bytes flow back to a producer: an ack a heartbeat.
            skip = int(2 ** random.uniform(0, 10 if fault.hits_worker else 6)) - 1
        harm = Harm(fault, random, skip)
        self._harms[fault.hits_worker] = harm
        return harm

    def disarm(self, harm: Harm) -> None:
        if self._harms.get(harm.fault.hits_worker) is harm:
            del self._harms[harm.fault.hits_worker]

    def tighten(self) -> None:
        """Give the present connections a tiny receive window."""
        self._set_window(TINY_WINDOW_BYTES)

    def loosen(self) -> None:
        """Give them a usual one again: an interval at full speed takes minutes to pass through a tiny one."""
        self._set_window(BUFFER_BYTES)

    def _set_window(self, size: int) -> None:
        for connection in self.connections:
            connection.near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    # ---- carrying --------------------------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(listener)
            far = socket.socket()
            for sock in (near, far):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(near, far)
            carrier = group.create_task(self._serve(connection))
            self._carriers[connection] = carrier
            carrier.add_done_callback(partial(self._bury, connection))

    async def _serve(self, connection: Connection) -> None:
        try:
            await asyncio.get_running_loop().sock_connect(connection.far, (LOOPBACK, self._worker_port))
        except OSError:
            connection.prefer_reset()
            return
        self._listen_in(connection)
        self.connections.append(connection)
        if self._shuts_all:
            self._shut_one(connection)
        async with asyncio.TaskGroup() as group:
            for way in connection.ways:
                group.create_task(self._carry(connection, way))

    def _listen_in(self, connection: Connection) -> None:
        way = connection.ways[1]
        said: set[tuple[str, int]] = set()

        def note_said(verb: str, offset: int) -> None:
            said.add((verb, offset))
            if not (verb == "resume" and connection.was_shut):  # read late: others may have served since
                self._witness.said(self.worker, verb, offset)

        def note_heard(verb: str, offset: int) -> None:
            self._witness.heard(self.worker, offset, was_said=(verb, offset) in said)

        way.before = Promises(note_said, lambda reason: self._witness.parted(self.worker, reason))
        way.after = Promises(note_heard)

    async def _carry(self, connection: Connection, way: Way) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                await way.is_open.wait()
                throttled = self.mood.is_throttled and way.to_worker
                data = await loop.sock_recv(way.source, TINY_WINDOW_BYTES // 4 if throttled else READ_BYTES)
                await way.is_open.wait()  # what came in the meantime is held back too
                if not data:
                    break
                if way.before is not None:
                    way.before.read(data)
                data, ending = self._harm(way, data)
                await self._forward(way, data)
                if ending is not None:
                    self._end(connection, reset=ending is Kind.CUT_RST)
                    return
                if throttled:
                    await asyncio.sleep(self._heartbeat / 4)
                elif len(data) > 4096:
                    await asyncio.sleep(len(data) / BYTES_A_SECOND)
        self._end(connection, reset=False)

    async def _forward(self, way: Way, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if self.mood.delay:
            await asyncio.sleep(self.mood.delay)
        if self.mood.is_sliced:
            for number in range(len(data)):
                await loop.sock_sendall(way.sink, data[number : number + 1])
                if number % SLICES_A_BURST == 0:
                    if not self.mood.is_sliced:
                        data = data[number + 1 :]
                        break
                    await asyncio.sleep(0.002)
            else:
                data = b""
        if data:
            await loop.sock_sendall(way.sink, data)
        way.last_forwarded_at = time.time()
        if way.after is not None:
            way.after.read(data)

    def _harm(self, way: Way, data: bytes) -> tuple[bytes, Kind | None]:
        """`data` after the armed harm, and the kind of cut that must follow, if any."""
        harm = self._harms.get(way.to_worker)
        if harm is None:
            return data, None
        data = harm.pass_over(data)
        if not harm.struck.is_set():
            return data, None
        del self._harms[way.to_worker]
        return data, harm.fault.kind if harm.fault.kind in CUTS else None

    def _end(self, connection: Connection, *, reset: bool) -> None:
        """End it. Its sockets are closed once nothing waits for them: the loop must not watch a reused descriptor."""
        if connection in self.connections:
            self.connections.remove(connection)
        if reset:
            connection.prefer_reset()
        if connection in self._carriers:
            self._carriers[connection].cancel()

    def _bury(self, connection: Connection, carrier: asyncio.Task[None]) -> None:
        del self._carriers[connection]
        if connection in self.connections:
            self.connections.remove(connection)
        connection.close()
