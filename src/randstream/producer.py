"""Producer: one link a worker, from the first dial to the last goodbye. Embeddable: sets no signal handlers, no logs."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from random import SystemRandom
from typing import Final

import structlog

from .discovery import Resolver
from .link import Link, LinkContext
from .observe.journal import Journal
from .observe.tally import Tally
from .raw_link import RawLink
from .settings import ProducerSettings, Target
from .stream_link import StreamLink
from .timers import TimerWheel

DIALS_A_SECOND: Final = 5000
"""The first dials are spread so, and at most over a second: ten thousand workers do not hear all at once."""

log = structlog.get_logger("randstream")


class Producer:
    """Streams to every worker of `settings` until `stop`.

    Raises SettingsError at construction if the settings cannot be used.
    """

    role: Final = "producer"

    def __init__(self, settings: ProducerSettings) -> None:
        self.settings = settings
        self.links: list[Link] = []
        # What an observer asks of a role, beside the links: see `ObservedRole`.
        self.name, self.numbers = settings.name, settings.numbers
        self.tally, self.journal, self.tap = Tally(), Journal(), None
        self._names: dict[str, Link] = {}
        self._stopping = asyncio.Event()
        self._all_finished = asyncio.Event()
        self._unfinished = 0
        self._resolver: Resolver | None = None
        self._bug: Exception | None = None

    @property
    def problem(self) -> str | None:
        """Why the producer is not ready, for an operator; None while it is. An absent worker is no reason."""
        if self._resolver is None or self._stopping.is_set():
            return "not streaming"
        problem = self._resolver.problem
        is_up = problem is not None and any(link.is_up for link in self.links)
        return None if is_up else problem

    def stop(self) -> None:
        """Begin the graceful end: a final beat to each worker, its ack, `#close`. Idempotent."""
        self._stopping.set()

    async def run(self) -> None:
        """Stream until `stop`, then end gracefully within the grace period."""
        if self.settings.seed_was_drawn:
            log.info("producer.seed_drawn", seed=self.settings.seed)
        loop = asyncio.get_running_loop()
        wheel = TimerWheel(loop, self._on_bug)
        self._resolver = Resolver()
        drawer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="draw")
        try:
            async with asyncio.TaskGroup() as group:
                context = LinkContext(
                    settings=self.settings,
                    wheel=wheel,
                    resolver=self._resolver,
                    random=SystemRandom(),
                    drawer=drawer,
                    spawn=group.create_task,
                    on_named=self._on_named,
                    on_finished=self._on_finished,
                    on_bug=self._on_bug,
                    tally=self.tally,
                    journal=self.journal,
                )
                self._start_links(context)
                await self._stopping.wait()
                await self._finish_links()
        finally:
            wheel.close()
            drawer.shutdown(wait=False, cancel_futures=True)
        if self._bug is not None:
            raise self._bug

    def _start_links(self, context: LinkContext) -> None:
        targets = self.settings.workers
        self.links = [make_link(target, context) for target in targets]
        self._unfinished = len(self.links)
        spread = min(1.0, (len(targets) - 1) / DIALS_A_SECOND)
        for number, link in enumerate(self.links):
            link.start(spread * number / len(targets))
        log.info("producer.started", links=len(self.links), rate=self.settings.rate, numbers=self.settings.numbers)

    async def _finish_links(self) -> None:
        for link in self.links:
            link.finish()
        if self.links:
            try:
                async with asyncio.timeout(self.settings.grace_period):
                    await self._all_finished.wait()
            except TimeoutError:
                pass
        unfinished = [link for link in self.links if not link.is_finished]
        for link in unfinished:
            link.abort()
        if unfinished:
            log.warning("producer.grace_over", unacknowledged_links=len(unfinished), grace=self.settings.grace_period)

    def _on_named(self, link: Link) -> None:
        assert link.worker is not None
        other = self._names.setdefault(link.worker, link)
        if other.worker != link.worker:  # it has found another worker since
            other = self._names[link.worker] = link
        if other is not link:
            log.warning(
                "producer.name_shared", worker=link.worker, targets=[str(other.target), str(link.target)],
                advice="both get the same numbers; give each worker a --name of its own",
            )  # fmt: skip

    def _on_finished(self, link: Link) -> None:
        self._unfinished -= 1
        if not self._unfinished:
            self._all_finished.set()

    def _on_bug(self, bug: Exception) -> None:
        self._bug = self._bug or bug
        self._stopping.set()


def make_link(target: Target, context: LinkContext) -> Link:
    """The kind of link that the target's scheme asks for."""
    return RawLink(target, context) if target.scheme == "raw" else StreamLink(target, context)
