"""TCP in memory between hosts that have addresses: what asyncio programs can see of a network, and its faults.

From a write to a read the bytes pass the transport's buffer (`transport.py`), the sending kernel's buffer, the wire and
the receiving kernel's buffer. All of them are bounded, so a stopped reader stops the writer. Every segment is one
event of the world; acknowledgements are looked up when the sender needs them, and are events only if it waits.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import struct
from asyncio import base_events
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappush
from itertools import product
from math import inf
from typing import Any, Final, Protocol

from tests.simulation.burial import Outside
from tests.simulation.loop import Loop
from tests.simulation.transport import Transport
from tests.simulation.world import Pace, Process, World

Address = tuple[str, int]

KERNEL_BUFFER: Final = 128 * 1024
"""Bytes: what Linux gives a receiver at first; a sender gets about the same."""
SEGMENT: Final = 64 * 1024
"""Bytes that travel together at most, as with segmentation offload."""
SYN_SECONDS: Final = (1, 2, 4, 8, 16, 32, 64)
"""How long Linux waits after each SYN: the dial fails after 127 seconds."""
RETRY_SECONDS: Final = 0.2
RETRY_SECONDS_MAX: Final = 120.0
"""Linux's least and longest wait before it sends again; it doubles."""
GIVE_UP_SECONDS: Final = 924.6
"""Linux's tcp_retries2 of 15: how long a connection lives without hearing anything."""
EPHEMERAL_PORTS: Final = range(32768, 61000)
ANY: Final = "0.0.0.0"
LOOPBACK: Final = "127.0.0.1"


def os_error(number: int, text: str = "") -> OSError:
    """ConnectionResetError for ECONNRESET and so on."""
    return OSError(number, text or os.strerror(number))


@dataclass(slots=True)
class Link(Outside):
    """The way from one host to another; the way back is a link of its own."""

    latency: float = 0.0005
    """Seconds."""
    jitter: float = 0.0002
    """Additional seconds at most."""
    bandwidth: float = inf
    """Bytes a second, shared by all connections."""
    split: float = 0.1
    """The probability that bytes which could travel together do not."""
    blocked: bool = False
    """Whether everything that arrives is lost."""
    busy_until: float = 0.0


class Pipe(Outside):
    """One direction of a connection, by the counts of its bytes. A FIN counts as one byte more.

    acked <= delivered <= written, acked <= sent <= written: the send buffer holds what is written and not acked.
    """

    __slots__ = (
        "acked", "acks", "advertised", "back", "buffer", "cut", "deadline", "delivered", "edge", "fin", "flips",
        "heard", "is_ack_due", "last_arrival", "link", "retry_at", "retry_seconds", "sent", "source", "tail", "target",
        "world", "written",
    )  # fmt: skip

    def __init__(self, source: Sock, target: Sock) -> None:
        network = source.host.network
        self.world = network.world
        self.source = source
        self.target = target
        self.link = network.link(source.host, target.host)
        self.back = network.link(target.host, source.host)
        self.buffer = bytearray()
        self.acked = self.sent = self.written = self.delivered = 0
        self.fin = False
        self.edge = self.advertised = target.host.receive_buffer
        """How far the receiver lets the sender send: as known to the sender, and as last announced by the receiver."""
        self.acks: deque[tuple[float, int, int]] = deque()
        """Under way: (arrival, delivered, edge)."""
        self.is_ack_due = False
        self.tail: list[Any] = [0, 0, -inf]
        """The newest segment: [first byte, end, departure]."""
        self.last_arrival = self.heard = self.world.now
        self.retry_at = self.deadline = inf
        self.retry_seconds = 0.0
        self.cut: tuple[int, tuple[Sock, ...]] = (-1, ())
        self.flips: list[tuple[int, int]] = []

    def __repr__(self) -> str:
        return "{}:{} > {}:{}".format(*self.source.getsockname(), *self.target.getsockname())

    # ---- the sender's kernel -----------------------------------------------------------------------------------------

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Take as much as there is room for."""
        if self.acks:
            self.settle()
        taken = min(len(data), self.source.host.send_buffer - len(self.buffer))
        self.buffer += data if taken == len(data) else memoryview(data)[:taken]
        self.written += taken
        self.transmit()
        return taken

    def finish(self) -> None:
        """No more will be written: a FIN follows the last byte."""
        if not self.fin:
            self.fin = True
            self.transmit()

    def transmit(self) -> None:
        """Send what the window allows."""
        end = min(self.written, self.edge)
        if self.fin and end == self.written:
            end += 1
        link, now, random = self.link, self.world.now, self.world.random.random
        tail = self.tail
        if tail[2] == now and tail[1] == self.sent < end and random() >= link.split:
            tail[1] = self.sent = min(end, tail[0] + SEGMENT)  # it has not left yet
        while self.sent < end:
            size = min(end - self.sent, SEGMENT)
            if size > 1 and random() < link.split:
                size = 1 + int(random() * (size - 1))
            self._depart(self.sent, self.sent + size)
            self.sent += size
        if self.sent < self.written + self.fin:
            if self.acked == self.sent and not self.acks:
                self.stall()  # the window is closed: ask now and then whether it still is
            self.watch()

    def _depart(self, start: int, end: int) -> None:
        link, world = self.link, self.world
        self.tail = segment = [start, end, world.now]
        link.busy_until = max(world.now, link.busy_until) + (end - start) / link.bandwidth
        when = max(link.busy_until + link.latency + link.jitter * world.random.random(), self.last_arrival)
        self.last_arrival = when
        heappush(world.heap, (when, world.count(), self._arrive, (segment,)))

    def settle(self) -> None:
        """Process the acknowledgements that have arrived by now."""
        acks, now = self.acks, self.world.now
        while acks and acks[0][0] <= now:
            self.heard, delivered, edge = acks.popleft()
            self.edge = max(self.edge, edge)
            if delivered > self.acked:
                del self.buffer[: delivered - self.acked]
                self.acked = delivered
                self.sent = max(self.sent, delivered)
                self.retry_seconds = 0.0
                if self.retry_at < inf:
                    self.stall(again=True)

    def watch(self) -> None:
        """Have the next acknowledgement reported, if the sender waits for one."""
        source = self.source
        if self.acks and not self.is_ack_due and (source.wants_room or self.sent < self.written + self.fin):
            self.is_ack_due = True
            self.world.at(self.acks[0][0], self._on_ack)

    def _on_ack(self) -> None:
        self.is_ack_due = False
        self.settle()
        source = self.source
        if source.gone:
            return
        self.transmit()
        if source.wants_room and len(self.buffer) * 3 <= source.host.send_buffer * 2:  # as Linux: a third is free
            source.transport.on_writable()
        self.watch()

    # ---- what is lost is sent again ----------------------------------------------------------------------------------

    def stall(self, *, again: bool = False) -> None:
        """Something was lost, or the window is closed: send again in a while, unless that is already planned."""
        if self.source.gone or self.acked == self.written + self.fin:
            self.retry_at = inf
            return
        if self.retry_at < inf and not again:
            return
        if self.retry_seconds == 0.0:
            there, back = self.link, self.back
            self.retry_seconds = RETRY_SECONDS + there.latency + there.jitter + back.latency + back.jitter
            self.heard = self.world.now
        self.deadline = self.world.now + self.retry_seconds
        if self.deadline < self.retry_at:
            self.retry_at = self.deadline
            self.world.at(self.deadline, self._retry, self.deadline)

    def _retry(self, planned: float) -> None:
        self.settle()
        if planned != self.retry_at:
            return  # none is needed, or an earlier one has been planned since then
        self.retry_at = inf
        if self.source.gone or self.acked == self.written + self.fin:
            return
        world = self.world
        if world.now < self.deadline:  # there has been progress
            self.retry_at = self.deadline
            world.at(self.deadline, self._retry, self.deadline)
        elif world.now - self.heard >= GIVE_UP_SECONDS:
            self.source.fail(os_error(errno.ETIMEDOUT))
        else:
            self.retry_seconds = min(self.retry_seconds * 2, RETRY_SECONDS_MAX)
            self.retry_at = self.deadline = world.now + self.retry_seconds
            world.at(self.deadline, self._retry, self.deadline)
            before = self.tail
            self.sent = self.delivered
            self.transmit()
            if self.tail is before:
                self._depart(self.sent, self.sent)  # nothing to send: a probe

    # ---- the receiver's kernel ---------------------------------------------------------------------------------------

    def _arrive(self, segment: list[Any]) -> None:
        start, end, _ = segment
        segment[2] = -inf  # nothing more can be added to it
        target = self.target
        if self.link.blocked or not target.host.up:
            self.stall()
            return
        if target.gone:
            self._refuse()
            return
        if start > self.delivered:
            return  # something before it was lost, and is sent again with this
        cut_at, cut_sides = self.cut
        if 0 <= cut_at <= end:
            end = cut_at
        first = self.delivered
        data = self.buffer[first - self.acked : min(end, self.written) - self.acked] if end > first else bytearray()
        if data and target.closed:
            self._refuse()
            return
        if self.world.trace is not None:
            self.world.note(f"{self} {len(data)} bytes{' FIN' if end > self.written else ''}")
        self.delivered = max(first, end)
        if data:
            for at, mask in self.flips:
                if first <= at < first + len(data):
                    data[at - first] ^= mask
            target.inbox += data
        if end > self.written:
            target.eof = True
        self._acknowledge()
        if cut_at == end:
            for each in cut_sides:
                each.on_reset()
        elif target.closed:
            target.leave_if_done()
        elif target.transport is not None and (data or target.eof):
            target.transport.on_readable()

    def _acknowledge(self) -> None:
        """Tell the sender how far its bytes came, and how much room is left."""
        source, back, world = self.source, self.back, self.world
        if source.gone:
            return
        self.advertised = self.delivered + self.target.host.receive_buffer - len(self.target.inbox)
        if back.blocked or not source.host.up:
            self.stall()
            return
        acks = self.acks
        when = world.now + back.latency + back.jitter * world.random.random()
        if acks:
            self.settle()
            when = max(when, acks[-1][0]) if acks else when
        acks.append((when, self.delivered, self.advertised))
        if not self.is_ack_due:
            self.watch()

    def on_read(self) -> None:
        """The receiver has room again: say so if it makes a difference."""
        room = self.target.host.receive_buffer
        if self.delivered + room - len(self.target.inbox) - self.advertised >= room // 2:
            self._acknowledge()

    def _refuse(self) -> None:
        self.target.out.reset()
        self.target.leave()

    def reset(self) -> None:
        """Send a RST, once, behind what is under way."""
        link, world = self.link, self.world
        when = max(world.now + link.latency + link.jitter * world.random.random(), self.last_arrival)
        self.last_arrival = when
        world.at(when, self._on_reset)

    def _on_reset(self) -> None:
        if not self.link.blocked and self.target.host.up and not self.target.gone:
            self.world.note(f"{self} RST")
            self.target.on_reset()


class Sock(Outside):
    """A kernel's end of a connection, and what `get_extra_info("socket")` gives."""

    __slots__ = (
        "closed", "connection", "eof", "error", "gone", "host", "inbox", "into", "loop", "name", "options", "out",
        "transport", "wants_room",
    )  # fmt: skip

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP
    connection: Connection
    out: Pipe
    into: Pipe

    def __init__(self, host: Host, name: Address, loop: Loop) -> None:
        self.host = host
        self.name = name
        self.loop = loop
        """The process that owns it."""
        self.inbox = bytearray()
        self.eof = False
        """Whether the peer's FIN is here."""
        self.error: OSError | None = None
        self.closed = False
        """Closed by its process; what its kernel still sends belongs to no process."""
        self.gone = False
        """Its kernel, too, has forgotten it."""
        self.wants_room = False
        self.transport: Any = None
        self.options: dict[tuple[int, int], Any] = {}

    # ---- system calls ------------------------------------------------------------------------------------------------

    def send(self, data: bytes | bytearray | memoryview) -> int:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if self.gone or self.closed:
            raise os_error(errno.EPIPE)
        taken = self.out.send(data)
        if self.host.network.tap is not None:
            self.host.network.tap.on_sent(self, bytes(data[:taken]))
        return taken

    def recv(self, size: int) -> bytes:
        """Only when `is_readable`."""
        inbox = self.inbox
        if inbox:
            data = bytes(inbox[:size])
            del inbox[:size]
            if not self.gone:
                self.into.on_read()
            if self.host.network.tap is not None:
                self.host.network.tap.on_read(self, data)
            return data
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return b""

    def is_readable(self) -> bool:
        return bool(self.inbox) or self.eof or self.gone

    def shutdown(self, how: int) -> None:
        if not self.gone:
            self.out.finish()

    def close(self) -> None:
        """Close; with unread bytes, or with SO_LINGER of no time, by a RST."""
        if self.closed:
            return
        self.closed = True
        self.transport = None
        self.wants_room = False
        if self.gone:
            return
        linger = self.options.get((socket.SOL_SOCKET, socket.SO_LINGER))
        if self.inbox or linger == struct.pack("ii", 1, 0):
            self.abort()
        else:
            self.out.finish()
            self.leave_if_done()

    def abort(self) -> None:
        """Close with a RST."""
        self.closed = True
        if not self.gone:
            self.out.reset()
            self.leave()

    def getsockname(self) -> Address:
        return self.name

    def getpeername(self) -> Address:
        return self.connection.peer(self).name

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        self.options[level, option] = value

    def getsockopt(self, level: int, option: int, size: int = 0) -> Any:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):  # as in Linux, which forgets an error once reported
            error, self.error = self.error, None
            return 0 if error is None else error.errno
        return self.options.get((level, option), 0)

    def fileno(self) -> int:
        return -1 if self.closed else 1

    # ---- the kernel --------------------------------------------------------------------------------------------------

    def on_reset(self) -> None:
        """A RST has come: Linux says EPIPE instead if the peer had ended before."""
        self.fail(os_error(errno.EPIPE if self.eof else errno.ECONNRESET))

    def fail(self, error: OSError) -> None:
        if self.gone:
            return
        self.leave()
        if not self.closed:
            self.error = error
            if self.transport is not None:
                self.transport.on_readable()
                if self.wants_room:
                    self.transport.on_writable()

    def leave_if_done(self) -> None:
        """Both ends are closed, and everything has arrived."""
        peer = self.connection.peer(self)
        if self.closed and peer.closed and self.eof and peer.eof:
            self.leave()
            peer.leave()

    def leave(self) -> None:
        """Forget the connection. What is under way still arrives."""
        self.gone = True
        self.host.socks.pop(self, None)
        if self.connection.peer(self).gone:
            self.host.network.live.pop(self.connection, None)

    def vanish(self) -> None:
        """The machine is off."""
        self.closed = True
        self.transport = None
        self.leave()


class Connection(Outside):
    """Two sockets and the pipes between them."""

    __slots__ = ("client", "server")

    def __init__(self, client: Sock, server: Sock) -> None:
        self.client = client
        self.server = server
        for each, other in (client, server), (server, client):
            each.connection = self
            each.out = other.into = Pipe(each, other)
            each.host.socks[each] = None
        network = client.host.network
        network.live[self] = None
        if network.tap is not None:
            network.tap.on_made(self)

    def __repr__(self) -> str:
        return f"<Connection {self.client.out}>"

    def peer(self, sock: Sock) -> Sock:
        return self.server if sock is self.client else self.client

    def pipe(self, source: Host) -> Pipe:
        """The direction from this host."""
        return self.client.out if self.client.host is source else self.server.out

    def cut(self, *sides: Host) -> None:
        """Reset these sides now, as a middlebox does; both if none is named."""
        for sock in self._of(sides):
            sock.on_reset()

    def cut_after(self, source: Host, count: int, *sides: Host) -> None:
        """Cut it as soon as exactly that many more bytes from this host have arrived."""
        pipe = self.pipe(source)
        pipe.cut = (pipe.delivered + count, self._of(sides)) if count else pipe.cut
        if not count:
            self.cut(*sides)

    def flip(self, source: Host, after: int = 0, mask: int = 0) -> None:
        """Damage the byte after that many more from this host; without a mask, one bit of it."""
        pipe = self.pipe(source)
        pipe.flips.append((pipe.delivered + after, mask or 1 << pipe.world.random.randrange(8)))

    def buffered(self) -> int:
        """Bytes in the buffers of both kernels and both transports."""
        total = 0
        for sock in self.client, self.server:
            sock.out.settle()
            total += len(sock.inbox) + len(sock.out.buffer)
            if sock.transport is not None:
                total += sock.transport.get_write_buffer_size()
        return total

    def _of(self, sides: tuple[Host, ...]) -> tuple[Sock, ...]:
        return tuple(each for each in (self.client, self.server) if not sides or each.host in sides)


class Listener(Outside):
    """A socket that was bound, and listens once it is told to."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, host: Host, loop: Loop, name: Address) -> None:
        self.host = host
        self.loop = loop
        self.name = name
        self.backlog = -1
        """-1: it does not listen."""
        self.handshakes = 0
        self.queue: deque[Sock] = deque()
        self._factory: Callable[[], asyncio.BaseProtocol] | None = None
        self._server: Any = None
        host.listeners[name] = self

    def listen(self, backlog: int) -> None:
        self.backlog = backlog

    def serve(self, factory: Callable[[], asyncio.BaseProtocol], server: Any) -> None:
        self._factory = factory
        self._server = server
        self.loop.servers[server] = None

    def close(self) -> None:
        """Connections not accepted yet are reset."""
        self.backlog = -1
        if self.host.listeners.get(self.name) is self:
            del self.host.listeners[self.name]
        self.loop.servers.pop(self._server, None)
        self._factory = self._server = None
        while self.queue:
            self.queue.popleft().abort()

    def has_room(self) -> bool:
        return len(self.queue) + self.handshakes <= self.backlog  # as Linux: one more than it says

    def enqueue(self, sock: Sock, link: Link, wait: float = RETRY_SECONDS) -> None:
        """The handshake's last segment, which is sent again if it is lost."""
        if link.blocked and self.backlog >= 0 and not sock.gone:
            self.loop.world.after(wait, self.enqueue, sock, link, min(wait * 2, RETRY_SECONDS_MAX))
            return
        self.handshakes -= 1
        if not self.host.up:
            sock.vanish()
        elif self.backlog < 0:
            sock.abort()
        elif not sock.gone or sock.error is not None:
            self.queue.append(sock)
            self.loop.call_soon(self._accept)

    def _accept(self) -> None:
        if not self.queue or self._factory is None:
            return
        sock = self.queue.popleft()
        try:
            protocol = self._factory()
        except BaseException:
            sock.close()
            raise
        Transport(self.loop, sock, protocol, server=self._server)

    def getsockname(self) -> Address:
        return self.name

    def getpeername(self) -> Address:
        raise os_error(errno.ENOTCONN)

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """Do nothing: it would change nothing."""

    def getsockopt(self, level: int, option: int, size: int = 0) -> int:
        return 0

    def fileno(self) -> int:
        return 1


class Dial(Outside):
    """The handshake, from the client's side. It is over when its future is done or its process dead."""

    __slots__ = ("_back", "_client", "_future", "_link", "_loop", "_there", "_to", "_world")

    def __init__(self, loop: Loop, host: Host, to: Address, future: asyncio.Future[Sock]) -> None:
        network = host.network
        self._world = network.world
        self._loop = loop
        self._there = host if to[0].startswith("127.") else network.hosts.get(to[0])
        self._link = network.link(host, self._there)
        self._back = network.link(self._there, host)
        self._to = to
        self._future = future
        self._client = Sock(host, (to[0] if self._there is host else host.address, host.free_port()), loop)
        self._syn(0)

    def _is_over(self) -> bool:
        return self._future.done() or self._loop.dead

    def _syn(self, attempt: int) -> None:
        if self._is_over():
            return
        if attempt == len(SYN_SECONDS):
            self._fail(errno.ETIMEDOUT)
            return
        link = self._link
        self._world.after(link.latency + link.jitter * self._world.random.random(), self._at_server)
        self._world.after(SYN_SECONDS[attempt], self._syn, attempt + 1)

    def _at_server(self) -> None:
        """Send the SYN. It is also lost where its answer would be: a half-open connection would have no effect."""
        there, back, world = self._there, self._back, self._world
        if self._is_over() or there is None or not there.up or self._link.blocked or back.blocked:
            return
        listener = there.listener(self._to)
        delay = back.latency + back.jitter * world.random.random()
        if listener is None:
            world.after(delay, self._refused)
        elif listener.has_room():
            listener.handshakes += 1
            world.after(delay, self._at_client, listener, there)

    def _refused(self) -> None:
        if not self._is_over() and not self._back.blocked:
            self._fail(errno.ECONNREFUSED)

    def _at_client(self, listener: Listener, there: Host) -> None:
        if self._is_over() or self._back.blocked:
            listener.handshakes -= 1
            return
        link, world, server = self._link, self._world, Sock(there, self._to, listener.loop)
        world.note(f"{Connection(self._client, server)} is made")
        self._future.set_result(self._client)
        delay = link.latency + link.jitter * world.random.random()
        self._client.out.last_arrival = world.now + delay  # the handshake comes before the first byte
        world.after(delay, listener.enqueue, server, link)

    def _fail(self, number: int) -> None:
        self._world.note(f"{self._client.name[0]} > {self._to[0]}:{self._to[1]} {os.strerror(number)}")
        self._future.set_exception(os_error(number, f"Connect call failed {self._to}"))


class Host(Outside):
    """A machine: an address, a kernel and processes."""

    def __init__(self, network: Network, address: str) -> None:
        self.network = network
        self.world = network.world
        self.address = address
        self.up = True
        self.send_buffer = self.receive_buffer = KERNEL_BUFFER
        """Of each connection, in bytes. Change them before it is made."""
        self.listeners: dict[Address, Listener] = {}
        self.socks: dict[Sock, None] = {}
        self._last_port = 0

    def __repr__(self) -> str:
        return f"<Host {self.address}>"

    def start(self, name: str, main: Callable[[], Any], pace: Pace | None = None) -> Process:
        """Start a process here."""
        return self.world.start(name, main, self, pace)

    def power_off(self) -> None:
        """Everything that runs here is gone, and no peer is told."""
        self.world.note(f"{self.address} is off")
        self.up = False
        for sock in list(self.socks):
            sock.vanish()
        for process in list(self.world.processes):
            if process.place is self:
                process.kill()
        self.listeners.clear()
        self.network.stall(self)

    def power_on(self) -> None:
        """The kernel is there again, and knows of no connection. Processes have to be started."""
        self.world.note(f"{self.address} is on")
        self.up = True

    def kill_connections(self) -> None:
        """Both sides of each are reset."""
        for connection in self.network.connections(self):
            connection.cut()

    @property
    def dials(self) -> int:
        """How many there were so far."""
        return self._last_port

    def free_port(self) -> int:
        self._last_port += 1
        return EPHEMERAL_PORTS[self._last_port % len(EPHEMERAL_PORTS)]

    def listener(self, to: Address) -> Listener | None:
        """The socket that listens at this address."""
        found = self.listeners.get(to) or self.listeners.get((ANY, to[1]))
        return found if found is not None and found.backlog >= 0 else None

    # ---- what `world.Place` asks for ---------------------------------------------------------------------------------

    def resolve(self, name: Any) -> list[str]:
        """The addresses of a name, an address or None."""
        if name in (None, "", "::"):
            return [ANY]
        if name in ("localhost", "::1"):
            return [LOOPBACK]
        if name in self.network.names:
            return self.network.names[name]
        try:
            return [str(ipaddress.ip_address(name))]
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None

    async def create_connection(
        self, loop: Loop, protocol_factory: Callable[[], Any], host: Any = None, port: int = 0, **options: Any
    ) -> tuple[Transport, Any]:
        if options.get("ssl") or options.get("sock"):
            raise NotImplementedError("TLS and foreign sockets are not simulated")
        errors: list[OSError] = []
        for address in self.resolve(host):
            future: asyncio.Future[Sock] = loop.create_future()
            Dial(loop, self, (LOOPBACK if address == ANY else address, port), future)
            try:
                sock = await future
                break
            except OSError as error:
                errors.append(error)
            except BaseException:
                if future.done() and not future.cancelled() and future.exception() is None:
                    future.result().close()  # connected in the very instant of the cancellation
                raise
        else:
            raise errors[0] if len(errors) == 1 else OSError(f"Multiple exceptions: {', '.join(map(str, errors))}")
        try:
            protocol = protocol_factory()
        except BaseException:
            sock.close()
            raise
        waiter = loop.create_future()
        transport = Transport(loop, sock, protocol, waiter=waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    async def create_server(
        self, loop: Loop, protocol_factory: Callable[[], Any], host: Any = None, port: int = 0, **options: Any
    ) -> base_events.Server:
        """asyncio's own Server, on sockets of ours."""
        if options.get("ssl") or options.get("sock"):
            raise NotImplementedError("TLS and foreign sockets are not simulated")
        names = [host] if host is None or isinstance(host, str) else host
        listeners: list[Any] = []
        try:
            for address in dict.fromkeys(each for name in names for each in self.resolve(name)):
                listeners.append(self._bind(loop, address, port or 0))
        except OSError:
            for each in listeners:
                each.close()
            raise
        backlog = options.get("backlog", 100)
        server = base_events.Server(loop, listeners, protocol_factory, None, backlog, None)
        if options.get("start_serving", True):
            server._start_serving()  # type: ignore[attr-defined] # as the loops themselves do
            await asyncio.sleep(0)
        return server

    def _bind(self, loop: Loop, address: str, port: int) -> Listener:
        if address not in (ANY, self.address) and not address.startswith("127."):
            raise os_error(errno.EADDRNOTAVAIL, f"error while attempting to bind on address {(address, port)}")
        taken = {number for name, number in self.listeners if ANY in (name, address) or name == address}
        if port == 0:
            port = next(each for each in iter(self.free_port, None) if each not in taken)
        if port in taken:
            raise os_error(errno.EADDRINUSE, f"error while attempting to bind on address {(address, port)}")
        return Listener(self, loop, (address, port))

    def release(self, loop: Loop) -> None:
        """A process is gone: its kernel closes what it had open."""
        for listener in [each for each in self.listeners.values() if each.loop is loop]:
            listener.close()
        for transport in list(loop.transports):
            transport.release()
        for sock in [each for each in self.socks if each.loop is loop]:
            sock.close()


class Tap(Protocol):
    """Sees everything that programs write to their sockets and read from them."""

    def on_made(self, connection: Connection) -> None: ...

    def on_sent(self, sock: Sock, data: bytes) -> None: ...

    def on_read(self, sock: Sock, data: bytes) -> None: ...


class Network(Outside):
    """All hosts and the links between them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.hosts: dict[str, Host] = {}
        self.names: dict[str, list[str]] = {}
        """What names resolve to; programs that dial addresses need no names here."""
        self.live: dict[Connection, None] = {}
        self.tap: Tap | None = None
        self._links: dict[tuple[Host | None, Host | None], Link] = {}

    def host(self, address: str) -> Host:
        """The host at this address, made if there is none."""
        host = self.hosts.get(address)
        if host is None:
            host = self.hosts[address] = Host(self, address)
        return host

    def link(self, source: Host | None, target: Host | None) -> Link:
        """The way from one host to another. Change its attributes at any time, but block it with `block`."""
        link = self._links.get((source, target))
        if link is None:
            local = source is target
            link = self._links[source, target] = Link(0.00002, 0.00001) if local else Link()
        return link

    def connections(self, a: Host | None = None, b: Host | None = None) -> list[Connection]:
        """Those that at least one side still knows: all, those of a host, those between two. Oldest first."""
        wanted = [each for each in (a, b) if each is not None]
        return [each for each in self.live if all(host in (each.client.host, each.server.host) for host in wanted)]

    def buffered(self) -> int:
        """Bytes in all buffers."""
        return sum(each.buffered() for each in self.live)

    # ---- faults ------------------------------------------------------------------------------------------------------

    def block(self, sources: Host | Iterable[Host], targets: Host | Iterable[Host]) -> None:
        """Nothing from these to those arrives any more."""
        for source, target in product(_hosts(sources), _hosts(targets)):
            if source is not target:
                self.world.note(f"{source.address} > {target.address} is blocked")
                self.link(source, target).blocked = True
                self.stall(source, target)

    def partition(self, some: Host | Iterable[Host], others: Host | Iterable[Host]) -> None:
        """Nothing passes either way."""
        some, others = _hosts(some), _hosts(others)
        self.block(some, others)
        self.block(others, some)

    def heal(self) -> None:
        """Nothing is blocked any more; what was lost is sent again in its time."""
        self.world.note("the network is whole")
        for link in self._links.values():
            link.blocked = False

    def stall(self, source: Host, target: Host | None = None) -> None:
        """Acknowledgements under way from here are lost, and what waited for them must be sent again."""
        for connection in self.connections(source, target):
            pipe = connection.pipe(source).target.out
            pipe.settle()
            pipe.acks.clear()
            pipe.stall()


def _hosts(some: Host | Iterable[Host]) -> list[Host]:
    return [some] if isinstance(some, Host) else list(some)
