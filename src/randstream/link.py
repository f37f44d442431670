"""Link: the one-way stream to one worker, which outlives its connections: dial, open, pump, back off, for ever.

A task is spent only on dialling; all else happens in the callbacks of the connection and of the timer wheel.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Any, Final

import structlog

from .backoff import Backoff
from .discovery import Resolver
from .distributions import Numbers
from .errors import LocalProtocolError, PeerTimeout, RandstreamError, Reason, is_transient, reason_of
from .observe.journal import Journal
from .observe.status import LinkState, LinkStatus
from .observe.tally import Tally
from .observe.throttle import Throttle
from .pacing import Pacer
from .protocol import HANDSHAKE_LIMIT
from .pump import FullSpeedPump, PacedPump, Pump
from .settings import ProducerSettings, Target
from .stream import NumberStream
from .timers import TimerWheel

DIALS_AT_ONCE: Final = 100
"""Connections being made at once: ten thousand links rise within seconds, and no backlog overflows."""
LINES_A_MINUTE: Final = 6
"""Log lines that one link may write of its troubles; how many were left out is told with the next."""
TROUBLES: Final = frozenset({"link.lost", "link.unreachable", "link.stalled"})
"""Events that are warnings."""


@dataclass(frozen=True, slots=True)
class LinkContext:
    """What all links of a producer share."""

    settings: ProducerSettings
    wheel: TimerWheel
    resolver: Resolver
    random: Random
    drawer: Executor
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    on_named: Callable[[Link], None]
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
        self._pump: Pump | None = None
        self._throttle = Throttle(LINES_A_MINUTE)
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
        self._alarm.set(float("inf"))
        if self._dialling is not None:
            self._dialling.cancel()
        if self._pump is not None:
            self._pump.close()

    @abstractmethod
    def abort(self) -> None:
        """End now, whatever is unsent."""

    @abstractmethod
    async def _connect(self, address: str) -> None:
        """Connect to `address`. Raises OSError."""

    def _dial(self) -> None:
        self.state = LinkState.DIALLING
        self._dialling = self._context.spawn(self._dial_addresses())

    async def _dial_addresses(self) -> None:
        limit = asyncio.timeout(HANDSHAKE_LIMIT)
        try:
            async with self._context.dials, limit:
                addresses = await self._context.resolver.resolve(self.target.host)
                for number, address in enumerate(addresses, start=1):
                    try:
                        await self._connect(address)
                        break
                    except OSError:
                        if number == len(addresses):
                            raise
        except OSError as error:
            # The kernel's own ETIMEDOUT is a TimeoutError too: only the timer knows whether it was ours.
            self.on_lost(PeerTimeout("no connection within the handshake's limit") if limit.expired() else error)
        finally:
            self._dialling = None

    def on_lost(self, error: Exception | None) -> None:
        """The connection, or the attempt at one, is over: try again later."""
        if self._pump is not None:
            self._pump.close()
            self._pump = None
        if self.state is LinkState.FINISHED:
            return
        error = error or ConnectionResetError("the peer ended the connection without a word")
        if isinstance(error, LocalProtocolError) or not isinstance(error, (OSError, RandstreamError)):
            self._context.on_bug(error)
        was_up = self.is_up
        (self._context.tally.ends if was_up else self._context.tally.failures)[reason_of(error)] += 1
        if was_up or self.last_error is None:
            self._note("link.lost" if was_up else "link.unreachable", str(error))
        self.last_error = f"{reason_of(error)}: {error}"
        delay = self._delay_after(error)
        self.state = LinkState.WAITING
        self.reconnects += was_up
        now = monotonic()
        self._say(
            "link.lost" if was_up else "link.unreachable", now, reason=str(reason_of(error)), error=str(error),
            retry_in=round(delay, 3), offset=self.offset, acked=self.acked_offset,
        )  # fmt: skip
        self._alarm.set(now + delay)

    def _say(self, event: str, now: float, **fields: object) -> None:
        """Log an event of this link, unless it has had its share of lines."""
        left_out = self._throttle.admit(now)
        if left_out is not None:
            if left_out:
                fields["left_out"] = left_out
            write = self._log.warning if event in TROUBLES else self._log.info
            write(event, **fields)

    def _note(self, event: str, detail: str) -> None:
        self._context.journal.note(event, self.worker or str(self.target), detail)

    def _delay_after(self, error: Exception) -> float:
        if reason_of(error) is Reason.TAKEOVER:
            return self._backoff.succession_delay()
        return self._backoff.delay() if is_transient(error) else self._backoff.longest_delay()

    def _begin_pumping(self, stream: NumberStream, offset: int, now: float) -> None:
        rate = self._context.settings.rate
        if rate == float("inf"):
            self._pump = FullSpeedPump(stream, offset, self._context.drawer, self._on_drawn)
        else:
            self._pump = PacedPump(stream, offset, Pacer(rate, now))

    @abstractmethod
    def _on_drawn(self) -> None:
        """A run drawn ahead is ready."""

    def _set_finished(self) -> None:
        if self.state is not LinkState.FINISHED:
            self.state = LinkState.FINISHED
            self._log.info("link.closed", offset=self.offset, acked=self.acked_offset)
            self._context.on_finished(self)
