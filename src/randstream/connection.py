"""Connection: one socket and one protocol end, with flow control, and the time.

The producer's `CallbackConnection` costs a link no task; the worker's `StreamConnection` stands on the reader and
writer of `asyncio.start_server`. Both only carry: what an event means is their owner's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from time import monotonic
from typing import Any, Final, Protocol, cast

from .errors import PeerTimeout
from .protocol.end import NEVER
from .protocol.events import Closed, Event
from .timers import TimerWheel

WRITE_HIGH_WATER: Final = 2**20
WRITE_LOW_WATER: Final = 2**18
"""Bytes. A buffer that empties before the loop comes back leaves the kernel idle; uvloop's default mark is 16."""
WRITELINES_NEVER_PAUSES: Final = (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)
"""asyncio's own transport then fills the memory for a peer that never reads (CVE-2024-12254); uvloop's does not."""
READ_BYTES: Final = 2**18
"""What one turn of the loop takes from a socket: uvloop's own limit, and a run that fits a core's cache."""
LINGER: Final = 1.0
"""Seconds that a closed connection has to get its last bytes out, before it is cut."""
RETRY_SECONDS: Final = 0.01
"""How soon to see whether a peer has read on. Only connections whose write buffer is not empty ask."""


def set_socket_options(transport: asyncio.BaseTransport) -> None:
    """TCP_NODELAY: a number is not held back. SO_KEEPALIVE: neither loop sets it.

    Not TCP_USER_TIMEOUT: it also cuts off a stalled peer that still answers zero-window probes.
    """
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def close_soon(transport: asyncio.WriteTransport) -> None:
    """Close once what was written is out, or after LINGER: a peer that never reads cannot hold a socket."""
    transport.close()
    asyncio.get_running_loop().call_later(LINGER, transport.abort)


class Owner(Protocol):
    """What a connection tells of itself. All calls are made on the loop's thread."""

    def on_made(self) -> None:
        """The socket is connected."""

    def on_event(self, event: Event, now: float) -> None:
        """A frame, or the time, meant this. `Closed` is the last."""

    def on_writable(self, now: float) -> None:
        """There is room to write again, or data came or time passed: a moment to send more."""

    def on_lost(self, error: Exception | None) -> None:
        """The socket is gone without a `Closed`: at its end (None) or with an error."""


class Spoken(Protocol):
    """What a connection asks of the protocol's end that it carries. See `End`, whose methods these are."""

    @property
    def deadline(self) -> float:
        """When `handle_timer` is next wanted."""

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """What `data` means."""

    def handle_timer(self, now: float) -> list[Event]:
        """Do what is due."""

    def data_to_send(self) -> list[bytes]:
        """Take all that is to be written now."""


class CallbackConnection(asyncio.Protocol):
    """The producer's side of a connection. `is_writable` while less than `high_water` bytes wait for the kernel."""

    def __init__(self, end: Spoken, owner: Owner, wheel: TimerWheel, *, high_water: int = WRITE_HIGH_WATER) -> None:
        self.end = end
        self.is_writable = False
        self._high_water = high_water
        self._owner: Owner | None = owner
        self._alarm = wheel.alarm(self._on_alarm)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        if self._owner is None:
            self._transport.abort()
            return
        self.is_writable = True
        set_socket_options(transport)
        self._set_write_limits(self._transport)
        self._owner.on_made()
        self.flush()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._owner is not None:
            now = monotonic()
            self._deliver(self.end.receive_data(data, now), now)

    def pause_writing(self) -> None:
        """asyncio: the write buffer is full."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """asyncio: the write buffer has room."""
        self.is_writable = True
        self._deliver([], monotonic())

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        self.is_writable = False
        self._transport = None
        if self._owner is not None:
            self.detach().on_lost(exc)

    def poke(self, when: float) -> None:
        """Call the owner's `on_writable` at `when`, and keep the end's deadline, whichever is sooner."""
        self._alarm.set(min(when, self.end.deadline))

    def flush(self) -> None:
        """Write what the end has to say and mind its deadline."""
        out = self.end.data_to_send()
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(out)
            if WRITELINES_NEVER_PAUSES:
                self._set_write_limits(self._transport)  # which looks at the buffer
            if self._transport.is_closing():  # the write failed, `connection_lost` follows
                self.is_writable = False
        if self._alarm.when > self.end.deadline:
            self._alarm.set(self.end.deadline)

    def detach(self) -> Owner:
        """Tell the owner no more, and close the socket."""
        assert self._owner is not None
        owner, self._owner = self._owner, None
        self._alarm.forget()
        if self._transport is not None:
            close_soon(self._transport)
        return owner

    def abort(self) -> None:
        """Cut the socket now, whatever is unsent."""
        self._owner = None
        self._alarm.forget()
        if self._transport is not None:
            self._transport.abort()

    def _set_write_limits(self, transport: asyncio.Transport) -> None:
        transport.set_write_buffer_limits(self._high_water, min(self._high_water, WRITE_LOW_WATER))

    def _on_alarm(self) -> None:
        now = monotonic()
        owner = self._owner
        if owner is not None:
            owner.on_writable(now)  # before the timer, so that a beat that is due shares the numbers' write
            self._deliver(self.end.handle_timer(now), now)

    def _deliver(self, events: list[Event], now: float) -> None:
        for event in events:
            if self._owner is None:
                return
            if isinstance(event, Closed):
                self.flush()
                self.detach().on_event(event, now)
                return
            self._owner.on_event(event, now)
        if self._owner is not None:
            self._owner.on_writable(now)
            self.flush()


class StreamConnection:
    """The worker's side of a connection: `read` events until `Closed`, or an empty list at its end."""

    def __init__(
        self, end: Spoken, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wheel: TimerWheel
    ) -> None:
        self.end = end
        self.peer: Any = writer.get_extra_info("peername")
        self._reader = reader
        self._writer = writer
        self._alarm = wheel.alarm(self._on_alarm)
        set_socket_options(writer.transport)
        self.flush()

    @property
    def now(self) -> float:
        """The time, in seconds, as the wheel and the end understand it."""
        return monotonic()

    async def read(self) -> list[Event]:
        """The next events, never empty but at the end of the connection.

        Raises:
            OSError: the connection broke.
        """
        while True:
            try:
                data = await self._reader.read(READ_BYTES)
            except PeerTimeout as error:
                return [Closed(error.with_traceback(None))]  # the reader keeps it, and its frames would keep us
            if not data:
                return []
            events = self.end.receive_data(data, self.now)
            self.flush()
            if events:
                return events

    def flush(self) -> None:
        """Write what the end has to say, unless the peer has not read the last of it; mind its deadline."""
        transport = self._writer.transport
        when = self.end.deadline
        if transport.get_write_buffer_size():
            when = min(when, self.now + RETRY_SECONDS)
        elif not transport.is_closing():
            self._writer.writelines(self.end.data_to_send())
        self._alarm.set(when)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """While we read nothing, the peer's silence is not its fault: what waits is read before its deadline rings."""
        self._alarm.set(NEVER)
        try:
            yield
        finally:
            self.flush()

    def close(self) -> None:
        """Write the last words and close, within LINGER."""
        self._alarm.forget()
        self._say_last()
        close_soon(self._writer.transport)

    async def wait_parted(self) -> None:
        """Write the last words, and read on until the peer has ended too, but not longer than LINGER.

        A socket that is closed with bytes unread resets the connection, and a peer that writes would never read why.
        """
        self._alarm.set(NEVER)
        self._say_last()
        transport = self._writer.transport
        try:
            if not transport.is_closing():
                transport.write_eof()
            async with asyncio.timeout(LINGER):
                while await self._reader.read(READ_BYTES):
                    pass
        except TimeoutError:
            transport.abort()
        except (OSError, PeerTimeout):
            pass

    def _say_last(self) -> None:
        transport = self._writer.transport
        if not transport.is_closing() and (words := self.end.data_to_send()):
            self._writer.writelines(words)

    def _on_alarm(self) -> None:
        events = self.end.handle_timer(self.now)
        self.flush()
        for event in events:
            assert isinstance(event, Closed)
            self._reader.set_exception(event.error)  # wakes `read`
