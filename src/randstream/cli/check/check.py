"""Check: a producer that watches how its streams fare, for a given time or for as long as a program runs."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isinf
from typing import Final

from ... import __version__
from ...errors import SettingsError
from ...observe.interruptions import InterruptionsStatus
from ...observe.status import LinkState
from ...producer.history import History
from ...producer.link import Link
from ...producer.producer import Producer
from ...settings.checks import shorten
from .measure import Subject, find_error, find_problem, measure, subjects
from .program import Program
from .report import Command, Limits, LinkResult, Report
from .view import MOST_ROWS, View

REACH_SECONDS: Final = 10.0
"""Within which workers must be reached."""
SETTLE_LIMIT: Final = 120.0
"""Seconds after the program's end within which every link must be proven again."""
LOOK_SECONDS: Final = 0.1
"""Between two looks at the links. They measure themselves: this is only how soon a person sees it."""
LOOKS_SHARE: Final = 0.05
"""The most of the time that looks may take: with thousands of links they are rarer, not to cause interruptions."""
STORIES_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Until:
    """When a check ends by itself: after `seconds`, or after `settle` seconds of calm once `program` has ended.

    With neither, it ends only when asked to.
    """

    seconds: float | None
    program: Program | None
    settle: float


class Check:
    """One check of the targets of `producer`, which must not be running yet."""

    def __init__(self, producer: Producer, limits: Limits, until: Until, view: View) -> None:
        self._producer = producer
        self._limits = limits
        self._until = until
        self._view = view
        self._clock = producer.clock
        self._asked = asyncio.Event()
        self._command: Command | None = None
        self._begin = self._calm_since = self._clock.now()
        self._count = 0
        self._missing: set[str] = set()
        """Targets that were not reached at first: the end does not wait for them."""
        self._has_begun = self._is_ending = False
        self._pause = 0.0
        """The longest time that this process itself stood still, or waited for a processor."""
        self._phase = "reaching workers"
        self._known: dict[History, InterruptionsStatus] = {}
        self._left_alone: dict[str, str] = {}
        """Workers that another producer came to serve, and that producer's name."""

    def end(self, number: signal.Signals) -> None:
        """End soon, with a report. Idempotent."""
        self._is_ending = True
        self._asked.set()
        if self._until.program is not None:
            self._until.program.end(number)

    async def run(self) -> Report:
        """Watch until the end. Raises SettingsError: a worker is already served, or the program cannot be started."""
        started = datetime.fromtimestamp(self._clock.wall_time(), UTC)
        streaming = asyncio.create_task(self._producer.run())
        looking = asyncio.create_task(self._look())
        for task in (streaming, looking):
            task.add_done_callback(lambda _: self._asked.set())  # a fault must not go unseen
        try:
            if await self._reach():
                await self._watch()
            end = self._clock.now()
            found = [
                (subject, subject.history.interruptions.status(end), self._find_problem(subject, end))
                for subject in subjects(self._producer)
            ]
            problem = self._producer.problem
        finally:
            looking.cancel()
            self._producer.stop()
            await streaming
            with suppress(asyncio.CancelledError):
                await looking
        return Report(
            version=__version__,
            started=started.isoformat(timespec="milliseconds"),
            seconds=round(end - self._begin, 6),
            settings={
                "producer": self._producer.settings.name,
                "rate": "max" if isinf(self._producer.settings.rate) else self._producer.settings.rate,
                "heartbeat": self._producer.settings.heartbeat_interval,
                "numbers": self._producer.settings.numbers,
            },
            limits=self._limits,
            command=self._command,
            links=[measure(*each) for each in found],  # with the last acks
            pause=round(self._pause, 6),
            problem=None if found else problem,
        )

    def _find_problem(self, subject: Subject, now: float) -> str | None:
        if subject.link is None and (by := self._left_alone.get(subject.name)) is not None:
            return f"{by} serves it now, and a check takes no worker from another producer"
        return find_problem(subject, now)

    async def _reach(self) -> bool:
        """Wait until every worker has proved itself; return whether any has in time."""
        await self._wait(REACH_SECONDS, self._has_reached_all)
        if self._asked.is_set():
            return False
        found = list(subjects(self._producer))
        self._tell_news(found, self._clock.now())  # before the next phase is announced
        missing = [each.target for each in found if not each.is_reached]
        self._missing = set(missing)
        if missing:
            more = f" and {len(missing) - STORIES_AT_ONCE:,} more" if len(missing) > STORIES_AT_ONCE else ""
            self._tell(f"not reached within {REACH_SECONDS:.0f} s: {', '.join(missing[:STORIES_AT_ONCE])}{more}")
        return len(missing) < len(found)

    def _has_reached_all(self) -> bool:
        found = list(subjects(self._producer))
        return found != [] and all(each.is_reached for each in found)

    async def _watch(self) -> None:
        self._has_begun = True
        if (program := self._until.program) is None:
            self._phase = "until Ctrl-C" if self._until.seconds is None else f"for {self._until.seconds:g} s"
            await self._wait(self._until.seconds)
            return
        self._phase = f"while {program.arguments[0]} runs"
        self._tell(f"begins: {shorten(shlex.join(program.arguments))}")
        running = asyncio.create_task(program.run())
        await self._wait(None, running.done)
        if not (running.done() or self._is_ending):
            program.end(signal.SIGTERM)  # a fault of ours
        self._command = await running
        self._tell(f"{self._command.outcome}: {program.arguments[0]}")
        self._phase = "until all is proven again"
        self._calm_since = self._clock.now()
        await self._wait(SETTLE_LIMIT, self._has_settled)

    def _has_settled(self) -> bool:
        """Whether nothing has been interrupted for as long as it must settle. Must be called often."""
        now, found = self._clock.now(), list(subjects(self._producer))
        count = sum(each.history.interruptions.count for each in found)
        awaited = (
            each
            for each in found
            if (each.is_reached or each.target not in self._missing) and each.name not in self._left_alone
        )
        if count != self._count or not found or any(find_problem(each, now) for each in awaited):
            self._count, self._calm_since = count, now
        return now - self._calm_since >= self._until.settle

    async def _wait(self, seconds: float | None, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait until it `is_over`, the end is requested, or `seconds` have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._asked.is_set():
                    begin = self._clock.now()
                    for link in [link for link in self._producer.links if link.state is LinkState.STANDBY]:
                        self._leave_alone(link)
                    if is_over():
                        break
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._pause_after(begin)):
                            await self._asked.wait()

    def _leave_alone(self, link: Link) -> None:
        """Leave the line of a worker that another producer serves: a standby there may be promoted."""
        assert link.worker is not None
        if link.history.stream is None and not self._has_begun:
            raise SettingsError(
                f"{link.worker} at {link.target} is served by {link.served_by}, and a check takes no worker from"
                " another producer; stop that one, or check other workers"
            )
        self._left_alone[link.worker] = link.served_by or "another producer"
        link.finish(self._clock.now())

    async def _look(self) -> None:
        """Report what happens to the links, as it happens."""
        with self._view.running():
            expected = self._clock.now()
            while True:
                begin = self._clock.now()
                self._pause = max(self._pause, begin - expected)
                found = list(subjects(self._producer))
                self._tell_news(found, begin)
                if self._view.is_live:
                    self._view.update(begin - self._begin, self._phase, *self._find_rows(found, begin))
                expected = self._clock.now() + (seconds := self._pause_after(begin))
                await asyncio.sleep(seconds)

    def _tell_news(self, found: list[Subject], now: float) -> None:
        stories = [story for subject in found for story in self._find_news(subject, now)]
        for story in stories[:STORIES_AT_ONCE]:
            self._tell(story)
        if len(stories) > STORIES_AT_ONCE:
            self._tell(f"and {len(stories) - STORIES_AT_ONCE:,} more such events")

    def _find_rows(self, found: list[Subject], now: float) -> tuple[list[LinkResult], int]:
        """The links in most trouble, and how many others there are: only these few are measured while streams flow."""

        def rank(subject: Subject) -> tuple[bool, float]:
            status = subject.history.interruptions.status(now, 0)
            return self._find_problem(subject, now) is None, -status.longest

        rows = sorted(found, key=rank)[:MOST_ROWS]
        measured = [
            measure(each, each.history.interruptions.status(now), self._find_problem(each, now)) for each in rows
        ]
        return measured, len(found) - len(rows)

    def _pause_after(self, begin: float) -> float:
        return max(LOOK_SECONDS, (self._clock.now() - begin) / LOOKS_SHARE)

    def _find_news(self, subject: Subject, now: float) -> list[str]:
        was, status = self._known.get(subject.history), subject.history.interruptions.status(now, 0)
        stories = []
        if subject.is_reached:
            if was is None:
                stories.append(f"{subject.name} reached at {subject.target}")
            self._known[subject.history] = status
        if was is not None:
            if status.count > was.count:
                last = subject.history.interruptions.last[-1]
                stories.append(f"{subject.name} proven again after {last.seconds:.2f} s ({last.cause})")
            if status.current is not None and was.current is None:
                why = find_error(subject, status.current) or status.current.cause
                stories.append(f"{subject.name} interrupted: {why}")
        return stories

    def _tell(self, story: str) -> None:
        self._view.tell(self._clock.now() - self._begin, story)
