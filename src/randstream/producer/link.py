"""Link: the one-way stream to one worker, which outlives its connections: dial, open, pump, back off, for ever.

A task is spent only on dialling; all else happens in the callbacks of the connection and of the timer wheel.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Any, Final

import structlog

from ..backoff import Backoff
from ..errors import LocalProtocolError, PeerTimeout, RandstreamError, Reason, is_transient, reason_of
from ..net.connection import Connection
from ..net.credentials import Credentials
from ..net.timers import NOW, TimerWheel
from ..numbers.distributions import Numbers
from ..numbers.stream import NumberStream
from ..observe.journal import Journal
from ..observe.status import LinkState, LinkStatus
from ..observe.tally import Tally
from ..observe.throttle import Throttle
from ..protocol import HANDSHAKE_LIMIT, MAX_NUMBER_LINE_BYTES
from ..protocol.frames import Lines
from ..settings import ProducerSettings, Seed, Target
from .discovery import Resolver
from .pacing import Pacer
from .pump import RUN_NUMBERS, Pump

DIALS_AT_ONCE: Final = 100
"""Connections being made at once: ten thousand links rise within seconds, and no backlog overflows."""
LINES_A_MINUTE: Final = 6
"""Log lines that one link may write of its troubles; how many were left out is told with the next."""
ABSENCES_A_MINUTE: Final = 1
"""And of attempts that came to nothing: once, and then at intervals."""
TROUBLES: Final = frozenset({"link.lost", "link.unreachable", "link.stalled"})
"""Events that are warnings."""


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
    on_resumed: Callable[[Link], None]
    on_finished: Callable[[Link], None]
    on_bug: Callable[[Exception], None]
    tally: Tally
    journal: Journal
    dials: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DIALS_AT_ONCE))
    acked_offsets: dict[str, int] = field(default_factory=dict)
    """The highest offset acked, by stream: where a worker that remembers nothing goes on."""


class Link(ABC):
    """Keeps one target connected. Subclasses say what is spoken there.

    The public attributes are for observers: offsets are those of the next number, `round_trip` is in seconds,
    `heard_at` (the last ack) in seconds of the monotonic clock.
    """

    def __init__(self, target: Target, context: LinkContext) -> None:
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
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(context.random)
        self._alarm = context.wheel.alarm(self._dial)
        self._dialling: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._pump: Pump | None = None
        self._up_since: float | None = None
        self._is_finishing = False
        self._waits_for_room = False
        self._throttle = Throttle(LINES_A_MINUTE)
        self._absences = Throttle(ABSENCES_A_MINUTE)
        self._log = structlog.get_logger("randstream").bind(target=str(target))

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
        """See `ObservedLink`."""
        return self.worker or "", str(self.target)

    def status(self, now: float, rate: float) -> LinkStatus:
        """See `ObservedLink`."""
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

    def recent_numbers(self, since: int, count: int) -> Sequence[float] | Numbers:
        """See `ObservedLink`. Drawn again: what was sent is not kept."""
        first = max(since, self.offset - count)
        return () if self.stream is None or first >= self.offset else self.stream.read(first, self.offset - first)

    def start(self, delay: float) -> None:
        """Dial for the first time in `delay` seconds."""
        self._alarm.set(monotonic() + delay)

    def finish(self) -> None:
        """End gracefully: get what was sent acknowledged, say goodbye, call `on_finished`."""
        self._is_finishing = True
        self._alarm.set(float("inf"))
        self._pump = None
        if self._connection is None or self._dialling is not None:
            self.abort()
        else:
            self._part(self._connection, monotonic())

    def abort(self) -> None:
        """End now, whatever is unsent."""
        if self._dialling is not None:
            self._dialling.cancel()
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        self._set_finished()

    @abstractmethod
    def _make_connection(self, now: float) -> Connection:
        """A connection, not made yet, that calls this link."""

    @abstractmethod
    def _part(self, connection: Connection, now: float) -> None:
        """Begin the graceful end of `connection`; `_set_finished` ends it."""

    @abstractmethod
    def _send(self, lines: Lines, count: int, now: float) -> None:
        """Hand a run to the connection's end."""

    def _room(self) -> int:
        """How many bytes the peer lets us send now: for a run, whatever is in it."""
        return RUN_NUMBERS * MAX_NUMBER_LINE_BYTES

    def on_writable(self, now: float) -> None:
        """Send the run that is due, as far as the peer and the write buffer give room. The caller flushes."""
        pump, connection = self._pump, self._connection
        if pump is None or connection is None:
            return
        run = pump.next_run(now, self._room()) if connection.is_writable else None
        if run is not None:
            lines, count = run
            self._send(lines, count, now)
            self._context.tally.numbers += count
            self._context.tally.number_bytes += len(lines)
        due = pump.next_due()
        # What is due and was not sent waits for room, and whoever makes room calls: an ack, or the kernel.
        self._waits_for_room = due <= now and run is None
        if self._waits_for_room:
            connection.poke(float("inf"))
        else:  # more that is due already goes after whatever else the loop has to do
            connection.poke(due if due > now else NOW)

    def _dial(self) -> None:
        self.state = LinkState.DIALLING
        self._dialling = self._context.spawn(self._dial_in_turn())

    async def _dial_in_turn(self) -> None:
        try:
            async with self._context.dials:
                await self._dial_addresses()
        except (OSError, PeerTimeout) as error:
            self.on_lost(error)
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
        connection = self._connection = self._make_connection(monotonic())
        try:
            await self._loop.create_connection(lambda: connection, address, self.target.port)
        except BaseException:
            connection.abort()
            self._connection = None
            raise

    def on_lost(self, error: Exception | None) -> None:
        """The connection, or the attempt at one, is over: try again later."""
        self._pump = None
        self._connection = None
        if self._is_finishing:
            self._set_finished()
            return
        error = error or ConnectionResetError("the peer ended the connection without a word")
        if isinstance(error, LocalProtocolError) or not isinstance(error, (OSError, RandstreamError)):
            self._context.on_bug(error)
        was_up = self.is_up
        (self._context.tally.ends if was_up else self._context.tally.failures)[reason_of(error)] += 1
        if was_up or self.last_error is None:
            self._note("link.lost" if was_up else "link.unreachable", str(error))
        self.last_error = f"{reason_of(error)}: {error}"
        now = monotonic()
        delay = self._delay_after(error, 0.0 if self._up_since is None else now - self._up_since)
        self._up_since = None
        self.state = LinkState.WAITING
        self.reconnects += was_up
        self._say(
            "link.lost" if was_up else "link.unreachable", now, reason=str(reason_of(error)), error=str(error),
            retry_in=round(delay, 3), offset=self.offset, acked=self.acked_offset,
        )  # fmt: skip
        self._alarm.set(now + delay)

    def _say(self, event: str, now: float, **fields: object) -> None:
        """Log an event of this link, unless it has had its share of lines."""
        throttle = self._absences if event == "link.unreachable" else self._throttle
        throttle.say(self._log.warning if event in TROUBLES else self._log.info, event, now, **fields)

    def _note(self, event: str, detail: str) -> None:
        self._context.journal.note(event, self.worker or str(self.target), detail)

    def _delay_after(self, error: Exception, held: float) -> float:
        if reason_of(error) is Reason.TAKEOVER:
            return self._backoff.succession_delay(held)
        return self._backoff.delay() if is_transient(error) else self._backoff.longest_delay()

    def _begin_pumping(self, stream: NumberStream, offset: int, now: float) -> None:
        self.state = LinkState.STREAMING
        self.offset = self.acked_offset = offset
        self._up_since = now
        self._pump = Pump(stream, offset, Pacer(self._context.settings.rate, now))

    def _set_finished(self) -> None:
        if self.state is not LinkState.FINISHED:
            self.state = LinkState.FINISHED
            self._log.info("link.closed", offset=self.offset, acked=self.acked_offset)
            self._context.on_finished(self)
