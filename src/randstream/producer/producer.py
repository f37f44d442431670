"""Producer: a link for each worker, from the first dial to the last goodbye.

Embeddable: no signal handlers, no log set-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from math import inf, isinf
from random import Random, SystemRandom
from typing import Final

import structlog

from ..backoff import LONGEST_DELAY
from ..clock import Clock
from ..net.budget import SendBudget
from ..net.credentials import Credentials
from ..net.timers import TimerWheel
from ..observe.expiry import Certificate
from ..observe.journal import Journal
from ..observe.tally import Tally
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..settings import ProducerInputs, ProducerSettings, Target
from .context import LinkContext
from .dialling import DIALS_AT_ONCE
from .discovery import Watch
from .dns import Dns
from .history import Histories, History
from .link import Link
from .places import Places
from .raw_session import RawSession
from .resolver import Resolver
from .stream_session import StreamSession

DIALS_A_SECOND: Final = 5000
"""First dials, spread over at most a second: ten thousand workers are not dialled all at once."""

log = structlog.get_logger("randstream")


class Producer:
    """Streams to every worker of `settings` until `stop`.

    `inputs` are what `settings.resolve` gave; without them it is called here. Time, chance and DNS can be passed in.
    `longest_delay`: the most seconds between two attempts at a worker that is away. `keeps_round_trips`: of each
    worker, for a caller that wants their quantiles.

    Raises:
        SettingsError: the settings cannot be used.
    """

    role: Final = "producer"

    def __init__(
        self,
        settings: ProducerSettings,
        inputs: ProducerInputs | None = None,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
        dns: Dns | None = None,
        longest_delay: float = LONGEST_DELAY,
        keeps_round_trips: bool = False,
    ) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        self._random = random or SystemRandom()
        self.inputs = inputs or settings.resolve(self._random)
        self._longest_delay = longest_delay
        self._histories = Histories(self.clock, keeps_round_trips=keeps_round_trips)
        self._dns = dns or Dns()
        self._credentials = Credentials(settings, self.clock) if settings.uses_tls else None
        self.budget = SendBudget(settings.buffer_bytes)
        self.links: list[Link] = []
        # What an observer asks a role for, beside the links: see `ObservedRole`.
        self.name, self.numbers = settings.name, settings.numbers
        self.rate, self.heartbeat = settings.rate, settings.heartbeat_interval
        self.tally, self.journal, self.tap, self.warning = Tally(), Journal(self.clock), None, None
        self._fixed: list[Target] = []  # those that the settings name themselves
        self._watches: list[Watch] = []
        self._linked: dict[Target, Link] = {}
        self._changes = Throttle(LINES_A_MINUTE)
        self._context: LinkContext | None = None
        self._stopping = asyncio.Event()
        self._all_finished = asyncio.Event()
        self._unfinished = 0
        self._bug: Exception | None = None

    @property
    def problem(self) -> str | None:
        """Why the producer is not ready, for an operator; None while it is. An absent worker is not a reason."""
        if self._context is None or self._stopping.is_set():
            return "not streaming"
        for watch in self._watches:
            if watch.problem is not None:
                return watch.problem
        problem = self._context.resolver.problem
        is_up = problem is not None and any(link.is_up for link in self.links)
        return None if is_up else problem

    @property
    def certificates(self) -> Sequence[Certificate]:
        """Those that end the use of the files for TLS."""
        return () if self._credentials is None else self._credentials.certificates()

    @property
    def departed(self) -> Collection[History]:
        """The last MOST_DEPARTED workers that were reached and have no link now, in the order in which they left."""
        return self._histories.departed.values()

    def stop(self) -> None:
        """Begin the graceful end: a final beat to each worker, its ack, `#close`. Idempotent."""
        self._stopping.set()

    async def run(self) -> None:
        """Stream until `stop`, then end gracefully within the grace period."""
        if self.inputs.seed.was_drawn:
            log.info("producer.seed_drawn", seed=self.inputs.seed.text)
        wheel = TimerWheel(self.clock, self._on_bug)
        async with asyncio.TaskGroup() as group:
            self._context = LinkContext(
                settings=self.settings,
                seed=self.inputs.seed,
                wheel=wheel,
                resolver=Resolver(self._dns, wheel),
                credentials=self._credentials,
                random=self._random,
                spawn=group.create_task,
                on_missed=self._on_missed,
                on_finished=self._on_finished,
                on_bug=self._on_bug,
                tally=self.tally,
                journal=self.journal,
                longest_delay=self._longest_delay,
                histories=self._histories,
                budget=self.budget,
                dials=Places(wheel, DIALS_AT_ONCE, inf),
                reminders=Throttle(LINES_A_MINUTE),
            )
            try:
                if self._credentials is not None:
                    self._credentials.watch(wheel)
                self._start_links()
                asking = [group.create_task(watch.run()) for watch in self._watches]
                await self._stopping.wait()
                for task in asking:
                    task.cancel()
                await self._finish_links()
            finally:  # before the group ends: it takes no more dials
                self._stopping.set()
                self._abort_links()
                wheel.close()
        if self._bug is not None:
            raise self._bug

    def _start_links(self) -> None:
        targets = self.inputs.targets
        self._fixed = [target for target in targets if not target.is_service]
        self._watches = [
            Watch(target, self._dns, self.clock, self._is_up, self._is_away, self._on_change)
            for target in targets
            if target.is_service
        ]
        self._adjust_links()
        log.info(
            "producer.started", links=len(self.links), services=len(self._watches),
            rate="max" if isinf(self.settings.rate) else self.settings.rate,
            numbers=self.settings.numbers,
        )  # fmt: skip

    def _on_change(self, watch: Watch) -> None:
        self._adjust_links()
        self._changes.say(
            log.info, "discovery.changed", self.clock.now(),
            target=str(watch.target), workers=len(watch.members), links=len(self._linked),
        )  # fmt: skip

    def _is_up(self, target: Target) -> bool:
        return self._linked[target].is_up if target in self._linked else False

    def _is_away(self, target: Target) -> bool:
        return self._linked[target].is_away(self.clock.now()) if target in self._linked else False

    def _on_missed(self, now: float) -> None:
        for watch in self._watches:
            watch.hurry(now)

    def _adjust_links(self) -> None:
        """Have one link for each target that is wanted, and none for others."""
        wanted = dict.fromkeys(self._fixed)
        for watch in self._watches:
            wanted |= dict.fromkeys(watch.members)
        self._link_all([target for target in wanted if target not in self._linked])
        for target in [target for target in self._linked if target not in wanted]:
            self._linked.pop(target).finish(self.clock.now())  # none of these is up: see `Membership`

    def _link_all(self, targets: list[Target]) -> None:
        assert self._context is not None
        now = self.clock.now()
        spread = min(1.0, (len(targets) - 1) / DIALS_A_SECOND)
        for number, target in enumerate(targets):
            link = self._linked[target] = make_link(target, self._context)
            self.links.append(link)
            self._unfinished += 1
            link.start(now + spread * number / len(targets))

    async def _finish_links(self) -> None:
        for link in self._linked.values():
            link.finish(self.clock.now())
        if self._unfinished:
            try:
                async with asyncio.timeout(self.settings.grace_period):
                    await self._all_finished.wait()
            except TimeoutError:
                unfinished = sum(not link.is_finished for link in self.links)
                log.warning("producer.grace_over", unacknowledged_links=unfinished, grace=self.settings.grace_period)

    def _abort_links(self) -> None:
        for link in self.links:
            if not link.is_finished:
                link.abort(self.clock.now())

    def _on_finished(self, link: Link, now: float) -> None:
        self._unfinished -= 1
        if not self._stopping.is_set():  # it left; at our own end, observers still look
            self.links.remove(link)
            self._histories.leave(link, now)
            return
        link.interruptions.finish(now)
        if not self._unfinished:
            self._all_finished.set()

    def _on_bug(self, bug: Exception) -> None:
        self._bug = self._bug or bug
        self._stopping.set()


def make_link(target: Target, context: LinkContext) -> Link:
    """A link that has the kind of sessions which the target's scheme asks for."""
    return Link(target, context, RawSession if target.scheme == "raw" else StreamSession)
