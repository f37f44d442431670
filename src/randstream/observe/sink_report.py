"""Sink report: what happens to a sink is reported here once, and goes to the log, the journal and the counters."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

import structlog

from .journal import Journal
from .tally import Tally
from .throttle import LINES_A_MINUTE, Throttle

FAILING_AGAIN_SECONDS: Final = 60.0
"""How often a sink that keeps failing is logged: the end of a log should show it."""


class SinkReport:
    """Whether a worker's sink takes numbers, and what is wrong if not. `now` is in seconds of the monotonic clock."""

    def __init__(self, worker: str, tally: Tally, journal: Journal) -> None:
        self._failure: str | None = None
        self._logged_at = -math.inf
        self._stall: str | None = None
        self.warning: str | None = None
        """A problem that does not stop the sink but needs a person."""
        self._worker = worker
        self._tally = tally
        self._journal = journal
        self._log = structlog.get_logger("randstream")
        self._lines = Throttle(LINES_A_MINUTE)
        self._stall_lines = Throttle(LINES_A_MINUTE)
        """Separate, so that a sink that stalls again and again does not keep its failures out of the log."""

    @property
    def problem(self) -> str | None:
        """Why it takes no numbers now; None while it does."""
        return self._failure or self._stall

    @property
    def is_stalled(self) -> bool:
        """Whether that is all that is known: it reports no failure."""
        return self._stall is not None and self._failure is None

    def failed(self, problem: str, now: float, *, retry_in: float) -> None:
        """It could not take numbers; the next attempt is in `retry_in` seconds.

        An unchanged problem is logged once, and then at intervals.
        """
        self._tally.sink_failures += 1
        is_news, self._failure = problem != self._failure, problem
        if is_news:
            self._journal.note("sink.failing", self._worker, problem)
        if is_news or now - self._logged_at >= FAILING_AGAIN_SECONDS:
            advice = "nothing is acknowledged until this is fixed"
            is_logged = self._lines.say(
                self._log.error, "sink.failing", now, error=problem, retry_in=retry_in, advice=advice
            )
            self._logged_at = now if is_logged else -math.inf

    def worked(self, now: float, warning: str | None = None) -> None:
        """It took them, with a `warning` if something needs a person."""
        if self._failure is not None:
            self._recovered(self._failure, self._lines, now)
            self._failure = None
        if warning != self.warning:
            was, self.warning = self.warning, warning
            if warning is not None:
                self._lines.say(self._log.warning, "sink.warning", now, warning=warning)
                self._journal.note("sink.warning", self._worker, warning)
            else:
                self._lines.say(self._log.info, "sink.warning_over", now, warning=was)

    def stalled(self, taker: str, now: float, *, since: float, why: str = "") -> None:
        """It does not fail, but is not done with what it was given either. Logged once, until `went_on`.

        `taker`: what has not taken the numbers; `since`: in seconds since 1970; `why`: what else is known.
        """
        if self.problem is None:
            since_when = f"{datetime.fromtimestamp(since, UTC):%Y-%m-%dT%H:%M:%SZ}"
            self._stall = f"{taker} has not taken its numbers since {since_when}{why}"
            advice = "nothing is lost: the stream goes on as soon as they are taken"
            self._stall_lines.say(
                self._log.warning, "sink.stalled", now, why=self._stall, taker=taker, since=since_when, advice=advice
            )
            self._journal.note("sink.stalled", self._worker, self._stall)

    def went_on(self, now: float) -> None:
        """It is done with what it was given: a stall is over."""
        if self._stall is not None:
            if self._failure is None:
                self._recovered(self._stall, self._stall_lines, now)
            self._stall = None

    def _recovered(self, was: str, lines: Throttle, now: float) -> None:
        lines.say(self._log.info, "sink.recovered", now)
        self._journal.note("sink.recovered", self._worker, f"was: {was}")
