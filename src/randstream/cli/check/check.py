"""Check: a producer that watches how its streams fare, for so long, or for as long as a program runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ... import __version__
from ...clock import Clock
from ...errors import SettingsError
from ...observe.interruptions import InterruptionsStatus
from ...observe.status import LinkState
from ...producer.link import Link
from ...producer.producer import Producer
from ...settings import ProducerInputs, ProducerSettings
from ..words import in_seconds
from .measure import find_problem, measure
from .program import Program
from .report import Command, Limits, Report
from .view import View

REACH_SECONDS: Final = 10.0
"""In which workers must be reached."""
SETTLE_LIMIT: Final = 120.0
"""Seconds after the program's end in which every link must be proven again."""
LOOK_SECONDS: Final = 0.1
"""Between two looks at the links. They measure themselves: this is how soon a person sees it."""


@dataclass(frozen=True, slots=True)
class Until:
    """When a check ends by itself: after so many `seconds`, or `settle` seconds of calm after the end of `program`.

    Neither is given: only when it is asked to.
    """

    seconds: float | None
    program: Program | None
    settle: float


class Check:
    """One check. It begins with the loop that `run` is called on."""

    def __init__(
        self, settings: ProducerSettings, inputs: ProducerInputs, limits: Limits, until: Until, view: View
    ) -> None:
        self._settings = settings
        self._inputs = inputs
        self._limits = limits
        self._until = until
        self._view = view
        self._clock = Clock()
        self._producer = Producer(
            settings, inputs, clock=self._clock, keeps_round_trips=True, longest_delay=settings.heartbeat_interval
        )
        self._asked = asyncio.Event()
        self._command: Command | None = None
        self._begin = self._calm_since = self._clock.now()
        self._count = 0
        self._phase = "reaching workers"

    def end(self, number: signal.Signals) -> None:
        """End soon, with a report. Idempotent."""
        self._asked.set()
        if self._until.program is not None and number is signal.SIGTERM:  # a terminal's Ctrl-C reaches it by itself
            self._until.program.signal(number)

    async def run(self) -> Report:
        """Watch until the end. Raises SettingsError: a worker is served already, or the program cannot be started."""
        started = datetime.fromtimestamp(self._clock.wall_time(), UTC)
        streaming = asyncio.create_task(self._producer.run())
        looking = asyncio.create_task(self._look())
        try:
            if await self._reach():
                await self._watch()
            end = self._clock.now()
            problems = {link.target: find_problem(link, end) for link in self._producer.links}
        finally:
            looking.cancel()
            self._producer.stop()
            await streaming
        return Report(
            version=__version__,
            started=started.isoformat(timespec="milliseconds"),
            seconds=end - self._begin,
            settings={
                "producer": self._settings.name,
                "rate": self._settings.rate,
                "heartbeat": self._settings.heartbeat_interval,
                "numbers": self._settings.numbers,
            },
            limits=self._limits,
            command=self._command,
            links=list(measure(self._producer.links, end, problems)),
        )

    async def _reach(self) -> bool:
        """Wait until every worker has proved itself; whether any has in time."""
        await self._wait(
            REACH_SECONDS, lambda: self._producer.links != [] and all(map(is_reached, self._producer.links))
        )
        if missing := [str(link.target) for link in self._producer.links if not is_reached(link)]:
            self._tell(f"not reached within {REACH_SECONDS:.0f} s: {', '.join(missing)}")
        return any(map(is_reached, self._producer.links))

    async def _watch(self) -> None:
        if (program := self._until.program) is None:
            self._phase = "until Ctrl-C" if self._until.seconds is None else f"for {self._until.seconds:g} s"
            await self._wait(self._until.seconds)
            return
        self._phase = f"while {program.arguments[0]} runs"
        self._tell(f"begins: {' '.join(program.arguments)}")
        self._command = await program.run()
        self._tell(f"ended with exit status {self._command.status}: {program.arguments[0]}")
        self._phase = "until all is proven again"
        self._calm_since = self._clock.now()
        await self._wait(SETTLE_LIMIT, self._has_settled)

    def _has_settled(self) -> bool:
        """Whether nothing has been interrupted for so long as it is to settle. To be asked often."""
        now, links = self._clock.now(), self._producer.links
        count = sum(link.interruptions.count for link in links)
        if count != self._count or not links or any(find_problem(link, now) for link in links):
            self._count, self._calm_since = count, now
        return now - self._calm_since >= self._until.settle

    async def _wait(self, seconds: float | None, is_over: Callable[[], bool] = lambda: False) -> None:
        """Until it `is_over`, somebody asks for the end, or `seconds` have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (is_over() or self._asked.is_set()):
                    self._refuse_to_disturb()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await self._asked.wait()

    def _refuse_to_disturb(self) -> None:
        for link in self._producer.links:
            if link.state is LinkState.STANDBY and link.first_offset is None:
                raise SettingsError(
                    f"{link.worker} at {link.target} is served by {link.served_by}, and a check disturbs nobody;"
                    " stop that producer, or check other workers"
                )

    async def _look(self) -> None:
        """Tell what happens to the links, as it happens."""
        known: dict[Link, InterruptionsStatus] = {}
        with self._view.running():
            while True:
                now = self._clock.now()
                for link in self._producer.links:
                    status = link.interruptions.status(now, 1)
                    self._tell_change(link, known.get(link), status)
                    known[link] = status
                self._view.update(now - self._begin, self._phase, measure(self._producer.links, now))
                await asyncio.sleep(LOOK_SECONDS)

    def _tell_change(self, link: Link, was: InterruptionsStatus | None, status: InterruptionsStatus) -> None:
        name = link.worker or str(link.target)
        if is_reached(link) and (was is None or was.availability is None):
            self._tell(f"{name} reached at {link.target}")
        if was is not None and status.count > was.count:
            last = status.last[-1]
            self._tell(f"{name} proven again after {in_seconds(last.seconds)} ({last.cause})")
        if status.current is not None and (was is None or was.current is None):
            self._tell(f"{name} interrupted: {link.last_error or status.current.cause}")

    def _tell(self, story: str) -> None:
        self._view.tell(self._clock.now() - self._begin, story)


def is_reached(link: Link | None) -> bool:
    """Whether its worker has taken this producer's numbers."""
    return link is not None and link.first_offset is not None and link.interruptions.first_proved_at is not None
