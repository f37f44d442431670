"""Accepted: the worker's side of a connection. It can pause reading, and lingers so that the peer reads last words."""

from __future__ import annotations

import asyncio
from typing import Final

from ..protocol.end import NEVER
from ..settings import Address
from .connection import LINGER, Connection, Owner, Spoken
from .timers import TimerWheel

READ_ON_SECONDS: Final = 0.1
"""Seconds after a pause in reading before silence counts again: the kernel's backlog is read first."""


class AcceptedConnection(Connection):
    """The worker's side: takes the socket over from the reader and writer of `asyncio.start_server`.

    It buffers nothing: what cannot be written at once is replaced by whatever is newest when the socket has room.
    """

    def __init__(self, end: Spoken, owner: Owner, wheel: TimerWheel, writer: asyncio.StreamWriter) -> None:
        super().__init__(end, owner, wheel, high_water=0)
        peername = writer.get_extra_info("peername")  # none, if the peer has gone already
        self.peer = str(Address(*peername[:2])) if peername else "unknown"
        self._writer = writer  # since Python 3.13 a writer without a reference closes its socket
        self._streams = writer.transport.get_protocol()
        self._gone = asyncio.Event()
        self._is_paused = False
        writer.transport.set_protocol(self)
        self.connection_made(writer.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        self._gone.set()
        self._streams.connection_lost(None)  # until Python 3.12 it and the writer hold each other
        super().connection_lost(exc)

    def flush(self) -> None:
        super().flush()
        if self._is_paused:
            self._alarm.set(NEVER)

    def pause_reading(self) -> None:
        """Read nothing until `resume_reading`. Meanwhile the peer's silence is not its fault."""
        self._is_paused = True
        self._alarm.set(NEVER)
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, beginning with the kernel's backlog."""
        self._is_paused = False
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            self._alarm.set(max(self.end.deadline, self._clock.now() + READ_ON_SECONDS))

    async def wait_parted(self) -> None:
        """Write the last words, and read on until the peer has ended too, but not longer than LINGER.

        Closing a socket with unread bytes resets the connection, and a peer that still writes would never read why.
        """
        if self._owner is not None:
            self._release()
        transport = self.transport
        if transport is None:
            return
        self._write()
        try:
            if not transport.is_closing():
                transport.write_eof()
                transport.resume_reading()
            async with asyncio.timeout(LINGER):
                await self._gone.wait()
        except TimeoutError:
            transport.abort()
        except OSError:  # the peer has gone already
            pass
