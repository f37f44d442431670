"""Link: the one-way stream to one worker. It outlives its connections: it dials, opens a session, backs off, for ever.

A task is spent only on dialling; all else happens in the callbacks of the session's connection and of the timer wheel.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Protocol

from ..backoff import Backoff
from ..errors import LocalProtocolError, PeerTimeout, RandstreamError, Reason, is_transient, reason_of, silent_end
from ..net.connection import Connection
from ..net.credentials import Credentials
from ..net.timers import TimerWheel
from ..numbers.distributions import NumberArray
from ..numbers.stream import NumberStream
from ..observe.journal import Journal
from ..observe.report import LINK_LINES_A_MINUTE, LinkReport
from ..observe.status import LinkState, LinkStatus
from ..observe.tally import Tally
from ..protocol import HANDSHAKE_LIMIT
from ..settings import ProducerSettings, Seed, Target
from .discovery import Resolver

DIALS_AT_ONCE: Final = 100
"""Connections being made at once: ten thousand links rise within seconds, and no backlog overflows."""


@dataclass(frozen=True, slots=True)
class LinkContext:
    """What all links of a producer share."""

    settings: ProducerSettings
    seed: Seed
    wheel: TimerWheel
    resolver: Resolver
    credentials: Credentials | None
    random: Random
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    on_resumed: Callable[[Link, float], None]
    on_finished: Callable[[Link], None]
    on_bug: Callable[[Exception], None]
    tally: Tally
    journal: Journal
    dials: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DIALS_AT_ONCE))
    acked_offsets: dict[str, int] = field(default_factory=dict)
    """The highest offset acked, by stream: where a worker that remembers nothing goes on."""


class Session(Protocol):
    """One connection's life. It tells its link what happens."""

    @property
    def connection(self) -> Connection:
        """The connection, which the link makes."""

    def finish(self, now: float) -> None:
        """Get what was sent acknowledged, say goodbye, then call the link's `set_finished`."""


class Link:
    """Keeps one target connected. `begin` makes the session of each connection. Implements `ObservedLink`.

    The public attributes are for observers: offsets are those of the next number, `round_trip` is in seconds,
    `heard_at` (the last ack) in seconds of the monotonic clock.
    """

    def __init__(
        self, target: Target, context: LinkContext, begin: Callable[[Link, LinkContext, float], Session]
    ) -> None:
        self.target = target
        self.state = LinkState.WAITING
        self.worker: str | None = None
        self.stream: NumberStream | None = None
        self.offset = 0
        self.acked_offset = 0
        self.round_trip: float | None = None
        self.heard_at: float | None = None
        self.reconnects = 0
        self.last_error: str | None = None
        self._context = context
        self._begin = begin
        self._clock = context.wheel.clock
        self._backoff = Backoff(context.random)
        self._alarm = context.wheel.alarm(self._dial)
        self._dialling: asyncio.Task[None] | None = None
        self.session: Session | None = None
        self._up_since = math.inf
        self._is_finishing = False
        name = str(target)
        self._report = LinkReport(name, context.tally, context.journal, LINK_LINES_A_MINUTE, target=name)

    @property
    def is_finished(self) -> bool:
        """Whether the link has ended for good."""
        return self.state is LinkState.FINISHED

    @property
    def is_up(self) -> bool:
        """Whether a connection carries numbers, or could."""
        return self.state in (LinkState.STREAMING, LinkState.STALLED)

    @property
    def label(self) -> tuple[str, str]:
        return self.worker or "", str(self.target)

    def status(self, now: float, rate: float) -> LinkStatus:
        return LinkStatus(
            worker=self.worker,
            peer=str(self.target),
            stream=None if self.stream is None else self.stream.id,
            state=self.state,
            offset=self.offset,
            acked_offset=self.acked_offset,
            rate=rate,
            round_trip=self.round_trip,
            silence=None if self.heard_at is None else now - self.heard_at,
            reconnects=self.reconnects,
            error=self.last_error,
        )

    def recent_numbers(self, since: int, count: int) -> Sequence[float] | NumberArray:
        """See `ObservedLink`. Drawn again: what was sent is not kept."""
        first = max(since, self.offset - count)
        return () if self.stream is None or first >= self.offset else self.stream.read(first, self.offset - first)

    # -- what the producer asks

    def start(self, when: float) -> None:
        """Dial for the first time at `when`."""
        self._alarm.set(when)

    def finish(self, now: float) -> None:
        """End gracefully: get what was sent acknowledged, say goodbye, call `on_finished`."""
        self._is_finishing = True
        self._alarm.set(math.inf)
        if self.session is None or self._dialling is not None:
            self.abort(now)
        else:
            self.session.finish(now)

    def abort(self, now: float) -> None:
        """End now, whatever is unsent."""
        if self._dialling is not None:
            self._dialling.cancel()
        if self.session is not None:
            self.session.connection.abort()
        self.set_finished(now)

    # -- what a session tells

    def set_opening(self) -> None:
        """The socket is connected."""
        self.state = LinkState.OPENING

    def serve(self, worker: str) -> NumberStream:
        """The target is `worker`: the stream it gets."""
        if self.stream is None or worker != self.worker:
            self.worker = worker
            self.stream = NumberStream(self._context.seed.text, worker, self._context.settings.numbers)
            self._report = self._report.about(name=worker, worker=worker)
        return self.stream

    def set_streaming(self, stream: NumberStream, offset: int, now: float, **fields: object) -> None:
        """Numbers of `stream` flow from `offset` on."""
        self.state = LinkState.STREAMING
        self.offset = self.acked_offset = offset
        self._up_since = now
        self._report.resumed(offset, now, stream=stream.id, **fields)
        self._context.on_resumed(self, now)

    def note_acked(self, offset: int, now: float) -> None:
        """All below `offset` has arrived for good: more than before."""
        self._context.tally.acked_numbers += offset - self.acked_offset
        self.acked_offset = offset
        if self.state is LinkState.STALLED:
            self.state = LinkState.STREAMING
            self._report.recovered(offset, now)

    def prove(self) -> None:
        """The peer has shown that it means it: after the next loss the first delay is short again."""
        self._backoff.reset()

    def set_stalled(self, why: str, now: float) -> None:
        """The worker lives, but takes no numbers."""
        if self.state is not LinkState.STALLED:
            self.state = LinkState.STALLED
            self._report.stalled(why, now, offset=self.offset, acked=self.acked_offset)

    def on_lost(self, error: Exception | None, now: float) -> None:
        """The connection, or the attempt at one, is over: try again later."""
        self.session = None
        if self._is_finishing:
            self.set_finished(now)
            return
        error = error or silent_end()
        if isinstance(error, LocalProtocolError) or not isinstance(error, (OSError, RandstreamError)):
            self._context.on_bug(error)
        was_up = self.is_up
        delay = self._delay_after(error, max(0.0, now - self._up_since))
        fields: dict[str, Any] = {"retry_in": round(delay, 3), "offset": self.offset, "acked": self.acked_offset}
        if was_up:
            self._report.lost(error, now, **fields)
        else:
            self._report.unreachable(error, now, is_news=self.last_error is None, **fields)
        self.last_error = f"{reason_of(error)}: {error}"
        self.reconnects += was_up
        self.state = LinkState.WAITING
        self._up_since = math.inf
        self._alarm.set(now + delay)

    def set_finished(self, now: float) -> None:
        """The link has ended for good."""
        self.session = None
        if self.state is not LinkState.FINISHED:
            self.state = LinkState.FINISHED
            self._report.closed(None, now, offset=self.offset, acked=self.acked_offset)
            self._context.on_finished(self)

    # -- dialling

    def _dial(self, now: float) -> None:
        self.state = LinkState.DIALLING
        self._dialling = self._context.spawn(self._dial_in_turn())

    async def _dial_in_turn(self) -> None:
        try:
            async with self._context.dials:
                await self._dial_addresses()
        except (OSError, PeerTimeout) as error:
            self.on_lost(error, self._clock.now())
        finally:
            self._dialling = None

    async def _dial_addresses(self) -> None:
        limit = asyncio.timeout(HANDSHAKE_LIMIT)
        try:
            async with limit:
                addresses = await self._context.resolver.resolve(self.target.host)
                for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
                    # An address that swallows what it is sent must leave the others their time.
                    share = HANDSHAKE_LIMIT / len(addresses) if left else None
                    try:
                        async with asyncio.timeout(share):
                            return await self._connect(address)
                    except OSError:
                        if not left:
                            raise
        except TimeoutError as error:  # the kernel's ETIMEDOUT is one too: only the timer knows whether it was ours
            if limit.expired():
                raise PeerTimeout("no connection within the handshake's limit") from error
            raise

    async def _connect(self, address: str) -> None:
        session = self.session = self._begin(self, self._context, self._clock.now())
        connection = session.connection
        try:
            await asyncio.get_running_loop().create_connection(lambda: connection, address, self.target.port)
        except BaseException:
            connection.abort()
            self.session = None
            raise

    def _delay_after(self, error: Exception, held: float) -> float:
        if reason_of(error) is Reason.TAKEOVER:
            return self._backoff.succession_delay(held)
        return self._backoff.delay() if is_transient(error) else self._backoff.longest_delay()
