"""Intake: the one stream that comes into a worker, over all its connections. It only counts and reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..clock import Clock
from ..errors import reason_of, words_of
from ..observe.interruptions import Ear, Interruptions
from ..observe.journal import Journal
from ..observe.link_report import LinkReport
from ..observe.status import LinkState, LinkStatus, Standby, find_health
from ..observe.tally import Tally
from ..observe.tap import Stored, Tap
from ..observe.throttle import LINES_A_MINUTE
from ..protocol import MAX_NUMBER_LINE_BYTES
from ..protocol.frames import Lines, Open
from ..sinks import Sink
from .line import Line

TAILS: Final = 16
TAIL_BYTES: Final = 4096
"""The ends of the last runs, kept for the histogram: enough for its few hundred numbers a second."""


class Intake:
    """What has come in, and from whom. Implements `ObservedLink`.

    `sink_problem` says why the sink takes nothing now; `heard_at` is the last beat, in seconds of the monotonic clock.
    `round_trip` is not known at this end.
    """

    def __init__(
        self,
        worker: str,
        sink: Sink,
        tally: Tally,
        journal: Journal,
        line: Line,
        clock: Clock,
        sink_problem: Callable[[], str | None],
    ) -> None:
        self.worker = worker
        self.report = LinkReport(worker, tally, journal, LINES_A_MINUTE)
        """The report that each connection's own is derived from."""
        self.tap = Tap(sink if isinstance(sink, Stored) else None)
        self.served_since = 0.0
        self.acked_offset = 0
        self.round_trip: Final = None
        self.heard_at: float | None = None
        self.last_error: str | None = None
        self._clock = clock
        self._waiting_since = clock.now()
        self.interruptions = Interruptions(clock)
        self._tally = tally
        self._line = line
        self._live_report = self.report
        self._is_raw = False
        """Whether a raw peer, at the address `_raw_peer`, has the sink."""
        self._raw_peer: str | None = None
        self._state = LinkState.WAITING
        self._sink_problem = sink_problem
        self._tails: deque[bytes] = deque(maxlen=TAILS)

    @property
    def state(self) -> LinkState:
        has_peer = self._state is not LinkState.WAITING or bool(self._line.waiting)
        is_stalled = has_peer and self._sink_problem() is not None
        return LinkState.STALLED if is_stalled else self._state

    @property
    def offset(self) -> int:
        return self.tap.offset

    @property
    def reconnects(self) -> int:
        """How many lost connections another has replaced."""
        return self.interruptions.reconnects

    @property
    def label(self) -> tuple[str, str]:
        """See `ObservedLink`. Without the producer, which may be another at any time."""
        return self.worker, ""

    @property
    def offered(self) -> Open | None:
        """The offer of the session that serves, or served last."""
        return self._line.served

    @property
    def reason(self) -> str | None:
        """Why no numbers come; None while they do."""
        match self.state:
            case LinkState.STALLED:
                return self._sink_problem()
            case LinkState.WAITING:
                return self.last_error or "no producer has connected yet"
        return None

    def set_opening(self, report: LinkReport) -> None:
        """The connection that `report` is about has its turn."""
        self._live_report = report
        self._state = LinkState.OPENING

    def set_streaming(self, offset: int, now: float, after: str | None, ear: Ear) -> None:
        """The opening beat has come to `ear`: numbers flow from `offset` on. `after`: see `Resume`."""
        self.tap.offset = self.acked_offset = offset
        self.heard_at = self.served_since = now
        self._state = LinkState.STREAMING
        interruption = self.interruptions.proved(now, ear)
        numbers = self.offered and self.offered.numbers
        self._live_report.resumed(offset, now, interruption, numbers=numbers, after=after)

    def set_raw(self, report: LinkReport, now: float, peer: str | None = None) -> None:
        """A raw peer, whose address is `peer`, has been admitted; `report` is about it."""
        self._live_report = report
        self._is_raw, self._raw_peer = True, peer
        self._state = LinkState.STREAMING
        report.accepted_raw(now)

    def note_numbers(self, lines: Lines, count: int, *, is_raw: bool = False) -> None:
        """A run has come."""
        self._tally.numbers += count
        self._tally.number_bytes += len(lines)
        if is_raw:
            return
        self._tails.append(last_lines(lines, TAIL_BYTES))
        self.tap.pass_on(lines, count)

    def note_beat(self, now: float) -> None:
        """A beat has held."""
        self.heard_at = now

    def note_commit(self, offset: int, seconds: float) -> None:
        """Everything below `offset` is in the sink and acknowledged."""
        self._tally.commits.observe(seconds)
        self._tally.acked_numbers += max(0, offset - self.acked_offset)
        self.acked_offset = offset

    def note_proof(self, now: float, ear: Ear) -> None:
        """More of what `ear` heard is in the sink, or a beat has held that left nothing to store."""
        interruption = self.interruptions.proved(now, ear)
        if interruption is not None:
            self._live_report.recovered(self.acked_offset, now, interruption)

    def set_waiting(self, error: Exception, now: float, *, is_polite: bool, **fields: object) -> None:
        """The connection that had its turn is over. `fields` are for the log."""
        was_up = self._state is LinkState.STREAMING
        if was_up and not self._is_raw:
            self.interruptions.lost(reason_of(error), now)
        self._is_raw, self._raw_peer = False, None
        self.last_error = words_of(error)
        self._waiting_since = now
        self._state = LinkState.WAITING
        tell = self._live_report.closed if is_polite else self._live_report.lost
        tell(error, now, was_up=was_up, **fields)

    def status(self, now: float, rate: float, interruptions: int = 0) -> LinkStatus:
        offered = None if self._is_raw else self.offered
        serves_since = None if self._is_raw or self._state is not LinkState.STREAMING else self.served_since
        found = self.interruptions.status(now, interruptions)
        unwell_for = now - self._waiting_since if self.state is LinkState.WAITING else 0.0
        reason, since = find_health(self.reason, self._clock.wall_time() - unwell_for, found.current)
        return LinkStatus(
            worker=self.worker,
            peer=self._raw_peer if offered is None else offered.producer,
            stream=None if offered is None else offered.stream,
            state=self.state,
            offset=self.offset,
            acked_offset=self.acked_offset,
            rate=rate,
            round_trip=self.round_trip,
            silence=None if self._is_raw or self.heard_at is None else now - self.heard_at,
            reconnects=self.reconnects,
            error=self.last_error,
            reason=reason,
            since=since,
            interruptions=found,
            served_by=None if self._line.serving is None else self._line.serving.offered.producer,
            served_for=None if serves_since is None else now - serves_since,
            standbys=tuple(
                Standby(member.offered.producer, member.offered.stream, now - place.since)
                for member, place in self._line.waiting.items()
            ),
        )

    def recent_numbers(self, since: int, count: int) -> NDArray[np.float64]:
        """See `ObservedLink`. They are those of the last runs that were not asked for before."""
        tails, self._tails = self._tails, deque(maxlen=TAILS)
        lines = last_lines(b"".join(tails), count * MAX_NUMBER_LINE_BYTES)
        try:
            return np.fromstring(lines, np.float64, sep="\n")[-count:]
        except ValueError:  # a line may be valid and still not a number: `1-2`
            return np.empty(0)


def last_lines(lines: Lines, size: int) -> bytes:
    """The whole lines within the last `size` bytes of `lines`."""
    if len(lines) <= size:
        return bytes(lines)
    tail = bytes(lines[-size - 1 :])
    return tail[tail.find(b"\n") + 1 :]
