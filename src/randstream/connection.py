"""Connection: one socket and one protocol end, with flow control, and the time.

The producer's `CallbackConnection` costs a link no task; the worker's `StreamConnection` stands on the reader and
writer of `asyncio.start_server`. Both only carry: what an event means is their owner's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any, Final, Protocol, cast

from .protocol.end import End
from .protocol.events import Closed, Event
from .timers import TimerWheel

WRITE_HIGH_WATER: Final = 2**20
WRITE_LOW_WATER: Final = 2**18
"""Bytes. A buffer that empties before the loop comes back leaves the kernel idle; uvloop's default mark is 16."""
READ_BYTES: Final = 2**18
"""What one turn of the loop takes from a socket: uvloop's own limit, and a run that fits a core's cache."""
LINGER: Final = 1.0
"""Seconds that a closed connection has to get its last bytes out, before it is cut."""


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


class CallbackConnection(asyncio.Protocol):
    """The producer's side of a connection."""

    def __init__(self, end: End, owner: Owner, wheel: TimerWheel) -> None:
        self.end = end
        self.is_writable = False
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
        self._transport.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_LOW_WATER)
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
        if self._owner is not None:
            owner = self.detach()
            owner.on_lost(exc)

    def poke(self, when: float) -> None:
        """Call the owner's `on_writable` at `when`, and keep the end's deadline, whichever is sooner."""
        self._alarm.set(min(when, self.end.deadline))

    def flush(self) -> None:
        """Write what the end has to say and mind its deadline."""
        out = self.end.data_to_send()
        if out and self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(out)
        if self._alarm.when > self.end.deadline:
            self._alarm.set(self.end.deadline)

    def detach(self) -> Owner:
        """Tell the owner no more, and close the socket."""
        assert self._owner is not None
        owner, self._owner = self._owner, None
        self._alarm.set(float("inf"))
        if self._transport is not None:
            close_soon(self._transport)
        return owner

    def abort(self) -> None:
        """Cut the socket now, whatever is unsent."""
        self._owner = None
        self._alarm.set(float("inf"))
        if self._transport is not None:
            self._transport.abort()

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
        self, end: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wheel: TimerWheel
    ) -> None:
        self.end = end
        self.peer: Any = writer.get_extra_info("peername")
        self._reader = reader
        self._writer = writer
        self._alarm = wheel.alarm(self._on_alarm)
        self._timed_out: list[Event] = []
        self._is_held = False
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
            data = await self._reader.read(READ_BYTES)
            if self._timed_out or not data:
                return self._timed_out
            events = self.end.receive_data(data, self.now)
            self.flush()
            if events:
                return events

    def flush(self) -> None:
        """Write what the end has to say, unless the peer has not read the last of it; mind its deadline."""
        transport = self._writer.transport
        if not transport.is_closing() and not transport.get_write_buffer_size():
            self._writer.writelines(self.end.data_to_send())
        if not self._is_held:
            self._alarm.set(self.end.deadline)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """While we read nothing, the peer's silence is not its fault: its deadline is served late afterwards."""
        self._is_held = True
        self._alarm.set(float("inf"))
        try:
            yield
        finally:
            self._is_held = False
            self.flush()

    def close(self) -> None:
        """Write the last words and close, within LINGER."""
        self._alarm.set(float("inf"))
        if not self._writer.transport.is_closing():
            self._writer.writelines(self.end.data_to_send())
            close_soon(self._writer.transport)

    def _on_alarm(self) -> None:
        self._timed_out = self.end.handle_timer(self.now)
        self.flush()
        if self._timed_out:
            self._reader.feed_eof()  # wakes `read`
