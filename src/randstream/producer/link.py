"""Link: the one-way stream to one worker. It outlives its connections: it dials, opens a session, backs off, for ever.

Only dialling takes a task; all else happens in the callbacks of the session's connection and of the timer wheel.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..errors import LocalProtocolError, PeerClosed, RandstreamError, Reason, reason_of, silent_end, words_of
from ..numbers.distributions import NumberArray
from ..numbers.stream import NumberStream
from ..observe.interruptions import Ear, Interruptions
from ..observe.link_report import LINK_LINES_A_MINUTE, LinkReport
from ..observe.status import LinkState, LinkStatus, find_health
from ..settings import Target
from .context import LinkContext
from .dialling import Dialler, Session
from .haste import HASTE_SECONDS
from .redial import Redial

STREAMS_REMEMBERED: Final = 8
"""Per target: a peer that keeps changing its name must not fill memory."""
AWAY_SECONDS: Final = HASTE_SECONDS
"""A worker that stops on purpose is expected back, or gone from DNS for good, within this time: no alarm before."""


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
        self.last_error: str | None = None
        self._stall = ""
        self._unwell_since = math.inf
        self.served_by: str | None = None
        self.history = context.histories.new()
        self.instance = f"{context.random.getrandbits(64):016x}"
        self._starts: dict[str, int] = {}
        self._context = context
        self._clock = context.wheel.clock
        self._dialler = Dialler(
            target, context.resolver, context.dials, self._clock, lambda now: begin(self, context, now), self._on_answer
        )
        self._redial = Redial(self, context.haste, context.random, context.longest_delay)
        self._alarm = context.wheel.alarm(self._dial)
        self._dialling: asyncio.Task[None] | None = None
        self.session: Session | None = None
        self._up_since = math.inf
        self._resumed: dict[str, Any] | None = None
        """What to report about a stream that has resumed, once it is proved to flow; None when reported."""
        self._is_finishing = False
        self._away_until = -math.inf
        self._peer = str(target)
        self._report = LinkReport(
            self._peer, context.tally, context.journal, LINK_LINES_A_MINUTE, context.reminders, target=self._peer
        )
        context.budget.join(self)  # before it is up: the last to come must find as much as the first

    @property
    def is_finished(self) -> bool:
        """Whether the link has ended for good."""
        return self.state is LinkState.FINISHED

    @property
    def is_up(self) -> bool:
        """Whether a connection carries numbers, or could at once."""
        return self.state in (LinkState.STREAMING, LinkState.STALLED, LinkState.STANDBY)

    def is_away(self, now: float) -> bool:
        """Whether its worker has stopped on purpose within the last minute."""
        return now < self._away_until

    @property
    def label(self) -> tuple[str, str]:
        return self.worker or "", self._peer

    @property
    def interruptions(self) -> Interruptions:
        """Those of its worker, including those under other links."""
        return self.history.interruptions

    @property
    def reconnects(self) -> int:
        """How many lost connections another has replaced."""
        return self.interruptions.reconnects

    @property
    def unacked(self) -> int:
        """How many numbers were sent and are not acknowledged yet."""
        return self.offset - self.acked_offset

    @property
    def is_proved(self) -> bool:
        """Whether the connection that has resumed has shown that numbers flow."""
        return self._resumed is None

    @property
    def reason(self) -> str | None:
        """Why the link is not well; None while it is."""
        match self.state:
            case LinkState.STALLED:
                return self._stall
            case LinkState.STREAMING | LinkState.RESTING | LinkState.FINISHED:
                return None
        return self.last_error

    def status(self, now: float, rate: float, interruptions: int = 0) -> LinkStatus:
        found = self.interruptions.status(now, interruptions)
        unwell_since = self._clock.wall_time() - (now - min(now, self._unwell_since))
        reason, since = find_health(self.reason, unwell_since, None if self.is_finished else found.current)
        return LinkStatus(
            worker=self.worker,
            peer=self._peer,
            stream=None if self.stream is None else self.stream.id,
            state=self.state,
            offset=self.offset,
            acked_offset=self.acked_offset,
            rate=0.0 if self.state is LinkState.STANDBY else rate,
            round_trip=self.round_trip,
            silence=None if self.heard_at is None else now - self.heard_at,
            reconnects=self.reconnects,
            error=self.last_error,
            reason=reason,
            since=since,
            interruptions=found,
            served_by=self.served_by,
            served_for=now - self._up_since if self.state is LinkState.STREAMING else None,
        )

    def recent_numbers(self, since: int, count: int) -> Sequence[float] | NumberArray:
        """See `ObservedLink`. They are drawn again, as sent numbers are not kept."""
        first = max(since, self.offset - count)
        return () if self.stream is None or first >= self.offset else self.stream.read(first, self.offset - first)

    # -- called by the producer

    def start(self, when: float) -> None:
        """Dial for the first time at `when`."""
        self._redial.hurry(when)
        self._alarm.set(when)

    def finish(self, now: float) -> None:
        """End gracefully: get what was sent acknowledged, say goodbye, call `on_finished`."""
        self._is_finishing = True
        self._alarm.set(math.inf)
        if self.session is None:
            self.abort(now)
        else:
            self.session.finish(now)

    def abort(self, now: float) -> None:
        """End now, whatever is unsent."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if self.session is not None:
            self.session.connection.abort()
        self.set_finished(now)

    # -- called by a session

    def set_opening(self) -> None:
        """The socket is connected."""
        self.state = LinkState.OPENING

    def set_worker(self, worker: str) -> NumberStream:
        """The target is `worker`; return the stream it gets."""
        if self.stream is None or worker != self.worker:
            self._forget_service(self._clock.now())
            self.worker = worker
            self.stream = NumberStream(self._context.seed.text, worker, self._context.settings.numbers)
            self._report = self._report.about(name=worker, worker=worker)
        return self.stream

    def claim(self) -> Link:
        """Claim the worker; return the link that has it: this one, if no other had it before."""
        assert self.worker is not None
        holder = self._context.names.claim(self.worker, self)
        self._away_until = -math.inf
        if holder is self:
            self._context.histories.take(self.worker, self, self._clock.now())
        return holder

    def start_offset(self) -> int:
        """Where the stream begins if the worker names no offset: the highest ever acked at this target."""
        return 0 if self.stream is None else self._starts.get(self.stream.id, 0)

    def note_known(self, offset: int) -> None:
        """The target says that everything below `offset` has arrived, from any producer."""
        if self.stream is not None:
            self._starts[self.stream.id] = max(offset, self._starts.pop(self.stream.id, 0))
            if len(self._starts) > STREAMS_REMEMBERED:
                del self._starts[next(iter(self._starts))]

    def set_standing_by(self, by: str, offset: int | None, now: float, ear: Ear) -> None:
        """`ear` has heard that `by` serves the worker, and has brought it up to `offset`."""
        self.heard_at = now
        interruption = self.interruptions.proved(now, ear)
        if offset is not None:
            self.offset = self.acked_offset = offset
        if self.state is not LinkState.STANDBY or by != self.served_by:
            self._context.budget.leave(self)
            self.state = LinkState.STANDBY
            self.served_by = by
            self._set_well()
            self._redial.stand_by()
            self._report.standing_by(by, now, interruption)
        elif interruption is not None:
            self._report.recovered(self.acked_offset, now, interruption)

    def warn_of_stream(self, stream: str, by: str, now: float) -> None:
        """The worker is being served another stream, which this standby cannot continue."""
        self.last_error = f"{by} serves another stream, {stream}: do all producers have the same seed and numbers?"
        self._unwell_since = min(self._unwell_since, now)
        self._report.other_stream(now, served=stream, served_by=by)

    def set_resting(self, holder: Link, now: float) -> None:
        """Another link has the worker: try again when it is lost."""
        assert self.worker is not None
        self.session = None
        self._context.budget.leave(self)
        self.state = LinkState.RESTING
        self._set_well()
        self._context.names.rest(self.worker, self)
        self._report.resting(str(holder.target), now, self.interruptions.proved(now, None))

    def set_streaming(
        self, stream: NumberStream, offset: int, now: float, after: str | None = None, **fields: object
    ) -> None:
        """Numbers of `stream` will flow from `offset` on; `note_proof` follows. `after`: see `Resume`."""
        self._context.budget.join(self)
        self.state = LinkState.STREAMING
        self.served_by = self._context.settings.name
        self.offset = self.acked_offset = offset
        self.history.stream = stream.id
        self.note_known(offset)
        self._up_since = now
        self._resumed = {"offset": offset, "stream": stream.id, **({} if after is None else {"after": after}), **fields}

    def note_proof(self, now: float, ear: Ear | None) -> None:
        """The peer has acknowledged all that it had time for: see `Interruptions.proved`."""
        self._unwell_since = math.inf
        interruption = self.interruptions.proved(now, ear)
        if self._resumed is not None:
            fields, self._resumed = self._resumed, None
            self._report.resumed(now=now, interruption=interruption, **fields)
        elif self.state is LinkState.STALLED or interruption is not None:
            self.state = LinkState.STREAMING
            self._report.recovered(self.acked_offset, now, interruption)

    def note_acked(self, offset: int) -> None:
        """Everything below `offset` has arrived for good: more than before."""
        self._context.tally.acked_numbers += offset - self.acked_offset
        self.history.acknowledged += offset - self.acked_offset
        self.acked_offset = offset
        self.note_known(offset)

    def note_round_trip(self, seconds: float) -> None:
        """A beat was answered after `seconds`."""
        self.round_trip = seconds
        self._context.tally.round_trips.observe(seconds)
        if self.history.round_trips is not None:
            self.history.round_trips.observe(seconds)

    def prove(self) -> None:
        """See `Redial.prove`."""
        self._redial.prove()

    def set_stalled(self, why: str, now: float) -> None:
        """The worker lives, but takes no numbers."""
        if self.state is not LinkState.STALLED or why != self._stall:
            if self.state is LinkState.STANDBY:
                self.served_by = None
            self.state, self._stall = LinkState.STALLED, why
            self._unwell_since = min(self._unwell_since, now)
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
        reason, was_up = reason_of(error), self.is_up
        delay = self._redial.delay_after(error, max(0.0, now - self._up_since), now)
        fields: dict[str, Any] = {"retry_in": round(delay, 3), "offset": self.offset, "acked": self.acked_offset}
        is_well = reason in (Reason.YIELD, Reason.SPARE)
        if not is_well:
            self.interruptions.lost(reason, now)
            if was_up:
                self._context.on_missed(now)
        self._resumed = None
        if reason is Reason.YIELD:
            self._report.yielded(now, self.interruptions.proved(now, None), **fields)
        elif reason is Reason.SPARE:
            self._report.turned_away(now, self.interruptions.proved(now, None), **fields)
        elif was_up and reason is Reason.SHUTDOWN and isinstance(error, PeerClosed):
            self._part(error, now, **fields)
        elif was_up:
            self._report.lost(error, now, **fields)
        elif self.is_away(now):
            self._report.failed(error)
        else:
            is_news = self.last_error is None or self._away_until > -math.inf
            self._away_until = -math.inf
            self._report.unreachable(error, now, is_news=is_news, **fields)
        if is_well:
            self._set_well()
        else:
            self._unwell_since = min(self._unwell_since, now)
            if was_up or not self.is_away(now):
                self.last_error = words_of(error)
        self.state = LinkState.WAITING
        self._context.budget.leave(self)
        self._forget_service(now)
        self._alarm.set(now + delay)

    def set_finished(self, now: float) -> None:
        """The link has ended for good."""
        self.session = None
        self._context.budget.leave(self)
        self._redial.forget()
        self._context.resolver.forget(self.target.host)
        self._forget_service(now)
        if self.state is not LinkState.FINISHED:
            self.state = LinkState.FINISHED
            if not self.is_away(now):  # otherwise its end has been logged
                self._report.closed(None, now, offset=self.offset, acked=self.acked_offset)
            self._context.on_finished(self, now)

    def _part(self, goodbye: PeerClosed, now: float, **fields: Any) -> None:
        """The worker stops on purpose, to come back or for good."""
        self._away_until = now + AWAY_SECONDS
        self._context.resolver.excuse(self.target.host, self._away_until)
        self._report.closed(goodbye, now, waits_for=f"{self.target} to come back", **fields)

    def _set_well(self) -> None:
        self.last_error = None
        self._unwell_since = math.inf

    def _forget_service(self, now: float) -> None:
        self.served_by = None
        self._up_since = math.inf
        if self.worker is not None:
            self._context.names.release(self.worker, self, now)

    # -- dialling

    def _dial(self, now: float) -> None:
        self.state = LinkState.DIALLING
        self._dialling = self._context.spawn(self._dial_once(self._redial.limit(now)))

    async def _dial_once(self, again: float | None) -> None:
        try:
            await self._dialler.dial(again)
        except (OSError, RandstreamError) as error:
            self._dialling = None
            self.on_lost(error, self._clock.now())

    def _on_answer(self, session: Session) -> bool:
        if self._dialling is None:
            return False
        self._dialling = None
        self._redial.forget()
        self.session = session
        return True
