"""Discovery: keeps asking DNS which workers a service has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from ..clock import Clock
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..settings import Target
from .dns import LATE_SECONDS, Dns, LookUpError, kinds_of
from .membership import Membership

REFRESH_SECONDS: Final = (1.0, 5.0)
"""A service is looked up again when its answer's time to live is over, within these bounds: DNS is not flooded, and a
pod that comes or goes is noticed in time."""

log = structlog.get_logger("randstream")


class Watch:
    """Keeps asking DNS which workers a `srv://` or `dns://` target stands for, and calls `on_change` when they change.

    Each kind of record is a question of its own, and does not affect the other's answers. A question that fails
    changes only `problem`. `is_up` tells whether the link to a member lives.
    """

    def __init__(
        self,
        target: Target,
        dns: Dns,
        clock: Clock,
        is_up: Callable[[Target], bool],
        on_change: Callable[[Watch], None],
    ) -> None:
        self.target = target
        self.problem: str | None = f"{target} has not been looked up yet"
        """Why the workers are unknown now; None while they are known."""
        self._dns = dns
        self._clock = clock
        self._is_up = is_up
        self._on_change = on_change
        self._lines = Throttle(LINES_A_MINUTE)
        self._memberships = {kind: Membership() for kind in kinds_of(target)}
        self._problems: dict[str, str | None] = {}

    @property
    def members(self) -> tuple[Target, ...]:
        """The workers, as far as known."""
        return tuple(dict.fromkeys(target for each in self._memberships.values() for target in each.members))

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in self._memberships:
                group.create_task(self._keep_asking(kind))

    async def _keep_asking(self, kind: str) -> None:
        while True:
            late = self._clock.call_at(self._clock.now() + LATE_SECONDS, lambda: self._note_late(kind))
            try:
                named, time_to_live = await self._dns.look_up_workers(self.target, kind)
            except LookUpError as error:
                time_to_live = 0.0
                self._note(kind, f"cannot look up {self.target}: {error}")
            else:
                self._note(kind, None if named else f"{self.target} names no worker")
                self._update(kind, named)
            finally:
                late.cancel()
            await asyncio.sleep(refresh_delay(time_to_live))

    def _update(self, kind: str, named: tuple[Target, ...]) -> None:
        before = self.members
        self._memberships[kind].update(named, self._is_up, self._clock.now())
        if self.members != before:
            self._on_change(self)

    def _note_late(self, kind: str) -> None:
        self._note(kind, f"cannot look up {self.target}: no name server gives an answer")

    def _note(self, kind: str, problem: str | None) -> None:
        self._problems[kind] = problem
        was, self.problem = self.problem, self._sum_up()
        if self.problem == was:
            return
        now, target = self._clock.now(), str(self.target)
        if self.problem is None:
            self._lines.say(log.info, "discovery.working", now, target=target)
        else:
            self._lines.say(log.warning, "discovery.failing", now, target=target, error=self.problem)

    def _sum_up(self) -> str | None:
        """One kind that names workers is enough. Of several problems, a failed question's says the most."""
        problems = self._problems.values()
        if None in problems:
            return None
        if len(problems) < len(self._memberships):
            return self.problem  # the other answer is to come
        return min((problem for problem in problems if problem), key=lambda each: each.startswith(str(self.target)))


def refresh_delay(time_to_live: float) -> float:
    """How long to wait before the next question, in seconds."""
    shortest, longest = REFRESH_SECONDS
    return min(max(time_to_live, shortest), longest)
