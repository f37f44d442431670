"""Connection: one socket and one protocol end, with flow control. It asks the clock and passes `now` to all it calls.

It works by callbacks: a link costs no task, and what is read is copied once. It only carries events; its owner acts
on them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Final, Protocol, cast

from ..protocol.end import NEVER
from ..protocol.events import Event
from ..protocol.frames import Lines
from .budget import LEAST_BYTES, MOST_BYTES, SendBudget
from .timers import TimerWheel

WRITE_HIGH_WATER: Final = 2**20
WRITE_LOW_WATER: Final = 2**18
"""Bytes. A buffer that empties before the loop comes back leaves the kernel idle; uvloop's default mark is 16."""
WRITELINES_NEVER_PAUSES: Final = (3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2)
"""In these versions asyncio's own transport fills memory for a peer that never reads (CVE-2024-12254); uvloop's
does not."""
LINGER: Final = 1.0
"""Seconds that a closed connection has to send its last bytes before it is cut."""


def set_socket_options(transport: asyncio.BaseTransport) -> None:
    """Set TCP_NODELAY, so that no number is held back, and SO_KEEPALIVE, which neither loop sets.

    Not TCP_USER_TIMEOUT: it also cuts off a stalled peer that still answers zero-window probes.
    """
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Owner(Protocol):
    """What a connection reports to. All calls are made on the loop's thread."""

    def on_made(self, now: float) -> None:
        """The socket is connected."""

    def on_event(self, event: Event, now: float) -> None:
        """A frame or the clock produced `event`. `Closed` is the last; the owner then closes the connection."""

    def on_writable(self, now: float) -> None:
        """There is room to write again, or the time given to `poke` has come: say more now. A flush follows."""

    def on_lost(self, error: Exception | None, now: float) -> None:
        """The socket is gone without a `Closed`: at its end (None) or with an error, a bug if not an OSError."""


class Spoken(Protocol):
    """What a connection asks of the protocol end that it carries. See `End`, whose methods these are."""

    @property
    def writes_on(self) -> bool:
        """Whether it keeps writing to a peer that has ended its own direction."""

    @property
    def deadline(self) -> float:
        """When to call `handle_timer` next."""

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Return what `data` means."""

    def receive_eof(self, now: float) -> list[Event]:
        """Return what the end of the peer's bytes means."""

    def handle_timer(self, now: float) -> list[Event]:
        """Do what is due."""

    def data_to_send(self) -> list[Lines]:
        """Take everything that is to be written now."""


class Connection(asyncio.Protocol):
    """One socket and what is spoken there. `is_writable` while no more than `high_water` bytes wait for the kernel, or
    fewer, if its share of `budget` is small. Without `budget` it has one of its own.
    """

    def __init__(
        self,
        end: Spoken,
        owner: Owner,
        wheel: TimerWheel,
        budget: SendBudget | None = None,
        *,
        high_water: int = WRITE_HIGH_WATER,
    ) -> None:
        self.end = end
        self.is_writable = False
        self._budget = budget or SendBudget()
        self._held = 0
        """What of `budget` it holds, as of the last look."""
        self._run_bytes = 0
        self._high_water = self._mark = high_water
        self._poked_for = NEVER
        self._owner: Owner | None = owner
        self._clock = wheel.clock
        self._alarm = wheel.alarm(self._on_alarm)
        self.transport: asyncio.Transport | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._is_resuming = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is connected."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        if self._owner is None:
            self.transport.abort()
            return
        self.is_writable = True
        set_socket_options(transport)
        self._set_write_limits(self.transport, self._mark)
        self._owner.on_made(self._clock.now())
        self.flush()

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._owner is not None:
            now = self._clock.now()
            self._deliver(self.end.receive_data(data, now), now)

    def eof_received(self) -> bool:
        """asyncio: no more bytes come. Unless the end writes on, the connection ends, even with bytes unsent."""
        if self._owner is None:
            return False
        now = self._clock.now()
        self._deliver(self.end.receive_eof(now), now)
        if self.end.writes_on or self._owner is None:
            return self._owner is not None
        owner = self._owner
        self.close()
        owner.on_lost(None, now)
        return False

    def pending_error(self) -> OSError | None:
        """The socket's error that went unreported because nothing reads any more; None if there is none."""
        if self.transport is None or self.transport.is_closing():
            return None
        number = self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, os.strerror(number)) if number else None

    def pause_writing(self) -> None:
        """asyncio: the write buffer is full."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """asyncio: the write buffer has room."""
        self.is_writable = True
        if self._owner is not None:
            self._is_resuming = True
            self._owner.on_writable(self._clock.now())
            self._is_resuming = False
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        self.is_writable = False
        self.transport = None
        self._hold(0)
        if self._lingering is not None:
            self._lingering.cancel()
        if self._owner is not None:
            self._release().on_lost(exc, self._clock.now())

    def hand_over(self, owner: Owner) -> None:
        """Report to `owner` from now on, and no more to the owner before it."""
        self._owner = owner

    def expect_runs(self, size: int) -> None:
        """Keep what stays unsent within the share of an owner that is about to write up to `size` bytes at once.

        If the share is small, the kernel holds no more than as much again. Otherwise it would take megabytes for a peer
        that reads nothing and, when short of memory, slow down those that read.
        """
        self._run_bytes = size
        share = self._budget.share
        if self.transport is not None and share < MOST_BYTES and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock: socket.socket = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, share)

    @property
    def room(self) -> int:
        """How many bytes the owner may write now, if it is writable."""
        if self.transport is not None:
            self._hold(self.transport.get_write_buffer_size())
        return max(LEAST_BYTES, self._budget.share - self._held)

    def poke(self, when: float) -> None:
        """Call the owner's `on_writable` at `when` instead of any time given before."""
        self._poked_for = when
        self._alarm.set(min(when, self.end.deadline))

    def flush(self) -> None:
        """Write what the end has to say, if there is room, and watch its deadline. Without room, the newest waits."""
        if self._owner is None:
            return
        if self.is_writable:
            self._write()
        self._alarm.set(min(self._poked_for, self.end.deadline))

    def close(self) -> None:
        """Stop reporting to the owner; write the end's last words and close, within LINGER. Idempotent."""
        if self._owner is not None:
            self._release()
        if self.transport is not None and self._lingering is None:
            self._write()
            if self._is_resuming:  # asyncio would report the end twice
                asyncio.get_running_loop().call_soon(self.transport.close)
            else:
                self.transport.close()
            # A peer that never reads must not hold the socket.
            self._lingering = asyncio.get_running_loop().call_later(LINGER, self.transport.abort)

    def abort(self) -> None:
        """Cut the socket now, whatever is unsent."""
        self._owner = None
        self._alarm.forget()
        if self.transport is not None:
            self.transport.abort()

    def drop(self) -> None:
        """Cut a socket that may be gone: uvloop closes that of a cancelled dial, and tells its protocol nothing."""
        transport = self.transport
        self.connection_lost(None)
        if transport is not None:
            transport.abort()

    def _write(self) -> None:
        out = self.end.data_to_send()
        transport = self.transport
        if not out or transport is None or transport.is_closing():
            return
        transport.writelines(out)
        if transport.is_closing():  # the write failed, `connection_lost` follows
            self.is_writable = False
            return
        if (held := transport.get_write_buffer_size()) != self._held:
            self._hold(held)
            mark = max(0, min(self._budget.share - self._run_bytes, self._high_water))
            if mark != self._mark or WRITELINES_NEVER_PAUSES:
                self._set_write_limits(transport, mark)  # which looks at the buffer

    def _hold(self, held: int) -> None:
        self._budget.held += held - self._held
        self._held = held

    def _set_write_limits(self, transport: asyncio.Transport, mark: int) -> None:
        self._mark = mark
        transport.set_write_buffer_limits(mark, min(mark, WRITE_LOW_WATER))

    def _on_alarm(self, now: float) -> None:
        if self._owner is not None:
            self._poked_for = NEVER
            self._owner.on_writable(now)  # before the timer, so that a beat that is due shares the numbers' write
            self._deliver(self.end.handle_timer(now), now)

    def _deliver(self, events: list[Event], now: float) -> None:
        for event in events:
            if self._owner is not None:
                self._owner.on_event(event, now)
        self.flush()

    def _release(self) -> Owner:
        assert self._owner is not None
        owner, self._owner = self._owner, None
        self._alarm.forget()
        return owner
