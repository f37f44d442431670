"""Dialling: the first address of a target that answers. The next is tried when one fails or is silent for a moment."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol

from ..clock import Clock
from ..errors import PeerTimeout, is_transient, silent_end
from ..net.connection import Connection, Owner
from ..protocol import HANDSHAKE_LIMIT
from ..protocol.events import Closed, Event
from ..settings import Target
from .places import Places, Standing
from .resolver import Resolver

DIALS_AT_ONCE: Final = 100
"""Connections being made at once: ten thousand links come up within seconds, and no backlog overflows."""
NEXT_ADDRESS_SECONDS: Final = 0.5
"""Without an answer for this long, the next address is tried too. RFC 8305 (5) gives a connection alone half of it."""


class Session(Owner, Protocol):
    """One connection's life. It tells its link what happens."""

    @property
    def is_greeted(self) -> bool:
        """Whether the peer speaks first, so that until then a connection proves nothing."""

    @property
    def connection(self) -> Connection:
        """The connection, which the dialler makes."""

    def finish(self, now: float) -> None:
        """Get what was sent acknowledged, say goodbye, then call the link's `set_finished`."""

    def leave(self) -> None:
        """Say goodbye and close, at once."""


class Attempt:
    """A session's connection until the peer answers. Implements `net.connection.Owner`."""

    def __init__(self, session: Session, on_answer: Callable[[Session], bool]) -> None:
        self.outcome: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        """None if the peer has answered and the session goes on by itself; otherwise why there will be no answer."""
        self._session = session
        self._on_answer = on_answer
        self.has_answer = False
        session.connection.hand_over(self)

    def on_made(self, now: float) -> None:
        """The socket is connected."""
        transport = self._session.connection.transport
        assert transport is not None
        if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
            # One socket is both ends: the kernel chose the very port being dialled. A reset leaves it for a listener.
            sock: socket.socket = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._session.connection.abort()
            self._end(ConnectionRefusedError(errno.ECONNREFUSED, "nothing listens there; the dial connected to itself"))
        elif self._session.is_greeted or self._answer():
            self._session.on_made(now)

    def on_event(self, event: Event, now: float) -> None:
        if isinstance(event, Closed):
            self._session.connection.close()
            self._end(event.error)
        elif self._answer():
            self._session.on_event(event, now)

    def on_writable(self, now: float) -> None:
        """There is nothing to say yet."""

    def on_lost(self, error: Exception | None, now: float) -> None:
        self._end(error or silent_end())

    def _answer(self) -> bool:
        """Whether the peer is the first to answer."""
        self.has_answer = self._on_answer(self._session)
        if self.has_answer:
            self._session.connection.hand_over(self._session)
            self._end(None)
        else:
            self._session.leave()
        return self.has_answer

    def _end(self, outcome: Exception | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Dialler:
    """Dials one target again and again. `begin` makes a session; `on_answer` takes the one whose peer has answered, and
    returns whether it is still wanted.
    """

    def __init__(
        self,
        target: Target,
        resolver: Resolver,
        places: Places,
        clock: Clock,
        begin: Callable[[float], Session],
        on_answer: Callable[[Session], bool],
    ) -> None:
        self._target = target
        self._resolver = resolver
        self._places = places
        self._clock = clock
        self._begin = begin
        self._on_answer = on_answer
        self._is_answered = False
        self._standing = Standing()

    async def dial(self, again: float | None = None) -> None:
        """Dial until a peer has answered. The look-up takes as long as it takes; each address has its own limit.

        Args:
            again: seconds after which the name is looked up again while no address has answered, since a pod that has
                moved does not answer at its old address. None: there is no haste.

        Raises:
            OSError, RandstreamError: none has answered; the last error, or rather one that a quick retry cannot cure.
        """
        addresses = await self._resolver.resolve(self._target.host)
        self._is_answered = False
        async with self._places.place(self._standing):
            may_move = addresses != [self._target.host] and again is not None and again < HANDSHAKE_LIMIT
            error = await self._try_all(addresses, again if may_move else None)
        if error is None:
            self._standing = Standing(has_answered=True)
        else:
            self._standing.is_silent = isinstance(error, (PeerTimeout, TimeoutError))
            raise error

    async def _try_all(self, addresses: list[str], again: float | None) -> Exception | None:
        """Return None as soon as one has answered, and drop the others."""
        if len(addresses) == 1 and again is None:  # ten thousand links need no more tasks than this one
            return await self._try(addresses[0])
        failure: Exception | None = None
        tried: set[str] = set()
        left = list(addresses)
        asking: asyncio.Task[list[str]] | None = None
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[Exception | None]] = set()
            while left or running:
                if left:
                    tried.add(left[0])
                    running.add(group.create_task(self._try(left.pop(0))))
                if not left and asking is None and again is not None:
                    asking = group.create_task(self._ask_again(again))
                waiting = {*running, asking} if asking is not None else running
                await asyncio.wait(
                    waiting, timeout=NEXT_ADDRESS_SECONDS if left else None, return_when="FIRST_COMPLETED"
                )
                if self._is_answered:
                    break
                done = {task for task in running if task.done()}
                running -= done
                for error in (task.result() for task in done):
                    failure = failure if failure is not None and not is_transient(failure) else error
                if asking is not None and asking.done():
                    left += [address for address in asking.result() if address not in tried]
                    asking = None
            for task in (*running, *([asking] if asking is not None else [])):
                task.cancel()
        return None if self._is_answered else failure

    async def _ask_again(self, delay: float) -> list[str]:
        """The target's addresses `delay` seconds later; empty if the look-up fails."""
        await asyncio.sleep(delay)
        try:
            return await self._resolver.resolve(self._target.host)
        except OSError:
            return []

    async def _try(self, address: str) -> Exception | None:
        """Return None once the peer has answered, or else why it will not."""
        session = self._begin(self._clock.now())
        attempt = Attempt(session, self._take)
        limit = asyncio.timeout(HANDSHAKE_LIMIT)
        try:
            async with limit:
                await self._connect(session.connection, address)
            return await attempt.outcome  # the protocol has its own limit
        except OSError as error:  # the kernel's ETIMEDOUT is a TimeoutError too: only the timer knows whose it was
            if attempt.has_answer:
                return None  # the limit came too late: the session has been told that its connection is lost
            session.connection.abort()
            if limit.expired():
                return PeerTimeout("no connection within the handshake limit")
            # asyncio's own text is long
            return OSError(error.errno, os.strerror(error.errno)) if error.errno else error
        except asyncio.CancelledError:
            if not attempt.has_answer:
                session.leave()
            raise

    async def _connect(self, connection: Connection, address: str) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, address, self._target.port)
        except asyncio.CancelledError:
            connection.drop()
            raise

    def _take(self, session: Session) -> bool:
        is_wanted = self._on_answer(session)
        self._is_answered = self._is_answered or is_wanted
        return is_wanted
