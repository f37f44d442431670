"""Link report: what happens to a link is reported here once, and goes to the log, the journal and the counters."""

from __future__ import annotations

from copy import copy
from typing import Final

import structlog

from ..errors import ExpiredError, RawLineError, Reason, reason_of, words_of
from .interruptions import Interruption
from .journal import Journal
from .tally import Tally
from .throttle import LINES_A_MINUTE, Throttle

LINK_LINES_A_MINUTE: Final = 6
"""Log events a minute that one of many links may write."""
_LINES_A_MINUTE: Final = {
    "link.unreachable": 1,
    "link.spare": 1,
    "link.resting": 1,
    "link.other_stream": 1,
    "link.refused": 1,
    "tls.refused": 1,
    "worker.unproven": LINES_A_MINUTE,
    "peer.left": LINES_A_MINUTE,
}
"""Events with a limit of their own: a worker that stays away is logged once and then at intervals, and events that
strangers cause do not keep the link's own events out of the log."""
_LASTING: Final = frozenset(event for event, lines in _LINES_A_MINUTE.items() if lines == 1)
"""Conditions that last. Their repetitions are limited across all links: there may be a thousand."""
WARNINGS: Final = frozenset(
    {
        "link.lost",
        "link.unreachable",
        "link.stalled",
        "link.other_stream",
        "link.refused",
        "tls.refused",
        "worker.unproven",
    }
)
"""Those of a link's events that are warnings; the others are informational."""


class LinkReport:
    """What happens to one link, at either end of it.

    `name` is what the journal calls the link, `fields` are part of each of its log events. `reminders` limits how often
    all links of a process together repeat what has not changed. Offsets are those of the next number, `now` is in
    seconds of the monotonic clock. `interruption` is the one that has just ended.
    """

    def __init__(
        self,
        name: str,
        tally: Tally,
        journal: Journal,
        lines_a_minute: int,
        reminders: Throttle | None = None,
        **fields: object,
    ) -> None:
        self._name = name
        self._tally = tally
        self._journal = journal
        self._log = structlog.get_logger("randstream").bind(**fields)
        self._lines_a_minute = lines_a_minute
        self._reminders = reminders
        self._throttles: dict[str, Throttle] = {}

    def about(self, name: str | None = None, **fields: object) -> LinkReport:
        """A report of the same link, with the same limits and more fields in each event."""
        report = copy(self)
        report._name = name or self._name
        report._log = self._log.bind(**fields)
        return report

    def resumed(self, offset: int, now: float, interruption: Interruption | None = None, **fields: object) -> None:
        """Numbers flow from `offset` on."""
        detail = f"at offset {offset}{', raw' if fields.get('raw') else ''}{_length(interruption)}"
        self._tell("link.resumed", now, detail, offset=offset, **fields, **self._count(interruption))

    def accepted_raw(self, now: float) -> None:
        """A peer without a protocol sends number lines."""
        self._tell("raw.accepted", now, "number lines without a protocol")

    def standing_by(self, by: str, now: float, interruption: Interruption | None = None) -> None:
        """The worker is served by another."""
        detail = f"{by} serves{_length(interruption)}"
        self._tell("link.standing_by", now, detail, by=by, **self._count(interruption))

    def yielded(self, now: float, interruption: Interruption | None = None, **fields: object) -> None:
        """The worker gave the stream to a producer that it ranks higher."""
        self._tally.ends[Reason.YIELD] += 1
        self._tell("link.yielded", now, "a better-ranked producer serves now", **fields, **self._count(interruption))

    def turned_away(self, now: float, interruption: Interruption | None = None, **fields: object) -> None:
        """The worker's line is full. This is no problem, as the worker is served."""
        self._tally.failures[Reason.SPARE] += 1
        self._tell("link.spare", now, **fields, **self._count(interruption))

    def resting(self, target: str, now: float, interruption: Interruption | None = None) -> None:
        """The link to `target`, another of this producer's, has the worker."""
        advice = "two targets lead to this worker, or two workers have its name; if so, give each its own --name"
        self._tell(
            "link.resting",
            now,
            f"{target} has this worker",
            linked_by=target,
            advice=advice,
            **self._count(interruption),
        )

    def other_stream(self, now: float, **fields: object) -> None:
        """A stream is offered while another one is served, and waits behind it."""
        advice = "do all producers have the same seed and numbers?"
        self._tell("link.other_stream", now, "another stream is served", advice=advice, **fields)

    def refused(self, error: Exception, now: float, **fields: object) -> None:
        """The sink can never take the stream that was offered."""
        self._tell("link.refused", now, words_of(error), **_cause(error), **fields)

    def lost(self, error: Exception, now: float, *, was_up: bool = True, **fields: object) -> None:
        """A connection broke. `was_up`: it had carried numbers."""
        self._count_end(error, was_up)
        self._tell("link.lost", now, words_of(error), **{**_cause(error), **fields})

    def unreachable(self, error: Exception, now: float, *, is_news: bool, **fields: object) -> None:
        """An attempt failed. `is_news`: the one before it did not."""
        self._count_end(error, was_up=False)
        self._tell("link.unreachable", now, words_of(error) if is_news else "", **_cause(error), **fields)

    def failed(self, error: Exception) -> None:
        """An attempt failed, as expected: it is counted, but not logged."""
        self._count_end(error, was_up=False)

    def closed(self, error: Exception | None, now: float, *, was_up: bool = True, **fields: object) -> None:
        """An orderly end, by the peer (`error`) or by this end."""
        if error is not None:
            self._count_end(error, was_up)
            fields = {**_cause(error), **fields}
        self._tell("link.closed", now, words_of(error) if error else "", **fields)

    def stalled(self, why: str, now: float, *, offset: int, acked: int) -> None:
        """The peer lives, but nothing moves."""
        self._tell("link.stalled", now, why, why=why, offset=offset, acked=acked)

    def recovered(self, acked: int, now: float, interruption: Interruption | None = None) -> None:
        """It moves again, on the same connection."""
        detail = f"acknowledged up to {acked}{_length(interruption)}"
        self._tell("link.recovered", now, detail, acked=acked, **self._count(interruption))

    def unproven(self, first: int, end: int, now: float) -> None:
        """Numbers `first` to `end` - 1 were passed on, and then their beat did not hold."""
        advice = "these numbers went out unproven and will be sent again"
        self._tell("worker.unproven", now, first=first, end=end, advice=advice)

    def stranger_left(self, error: Exception, now: float) -> None:
        """A connection has ended that never became the link's."""
        self._tell("tls.refused" if isinstance(error, ExpiredError) else "peer.left", now, **_cause(error))

    def checkpoint(self, offset: int, rate: float) -> None:
        """A sign of life; the caller limits how often."""
        self._log.info("worker.checkpoint", offset=offset, rate=rate)

    def _count(self, interruption: Interruption | None) -> dict[str, object]:
        """Count it; return the fields that describe it."""
        if interruption is None:
            return {}
        self._tally.interruptions[interruption.cause].observe(interruption.seconds)
        self._tally.reconnects += interruption.is_reconnect
        fields = {"interruption": round(interruption.seconds, 3), "interrupted_by": str(interruption.cause)}
        return fields if interruption.unnoticed is None else {**fields, "unnoticed": round(interruption.unnoticed, 3)}

    def _count_end(self, error: Exception, was_up: bool) -> None:
        (self._tally.ends if was_up else self._tally.failures)[reason_of(error)] += 1

    def _tell(self, event: str, now: float, detail: str = "", /, **fields: object) -> None:
        kind = event if event in _LINES_A_MINUTE else ""
        if kind not in self._throttles:
            shared = self._reminders if kind in _LASTING else None
            self._throttles[kind] = Throttle(_LINES_A_MINUTE.get(kind, self._lines_a_minute), shared)
        write = self._log.warning if event in WARNINGS else self._log.info
        self._throttles[kind].say(write, event, now, **fields)
        if detail:
            self._journal.note(event, self._name, detail)


def _length(interruption: Interruption | None) -> str:
    return "" if interruption is None else f", after {interruption.seconds:.3g} s ({interruption.cause})"


def _cause(error: Exception) -> dict[str, object]:
    """The reason in one word and in a sentence, the same for the same end in the logs of both roles."""
    cause: dict[str, object] = {"reason": str(reason_of(error)), "error": words_of(error)}
    if isinstance(error, RawLineError):
        cause |= {"line": error.line, "taken": error.taken}
    if isinstance(error, RawLineError | ExpiredError):
        cause["advice"] = error.advice
    return cause
