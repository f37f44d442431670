"""Gaps: where a store stood still, as seen from outside, and whether both ends call that an interruption.

They may miss none and invent none.
"""

from __future__ import annotations

from math import inf
from typing import Final

from tests.simulation.burial import Outside
from tests.simulation.cluster import Cluster
from tests.simulation.machines import WorkerMachine

from randstream.observe.interruptions import Ear, Interruption, Interruptions, Pause
from randstream.protocol import INTERRUPTION_HEARTBEATS

UNTOLD_HEARTBEATS: Final = 6.0
"""How long a store may stand still without an interruption, besides one number's time: a silence and a commit of two
heartbeats each, and the beat before and after."""
SLACK: Final = 1.0
"""Seconds, for timers that are late."""
MOMENT: Final = 1e-3


class WitnessedInterruptions(Interruptions):
    """Keeps when each began and ended, as the time of day may step."""

    __slots__ = ("ended",)

    def __init__(self, clock: object) -> None:
        super().__init__(clock)  # type: ignore[arg-type] # a Clock
        self.ended: list[tuple[float, float, Interruption]] = []

    def proved(self, now: float, ear: Ear | None) -> Interruption | None:
        interruption = super().proved(now, ear)
        if interruption is not None:
            self.ended.append((now - interruption.seconds, now, interruption))
        return interruption

    def overlaps(self, begin: float, end: float, now: float) -> list[float]:
        """How much of the time from `begin` to `end` each interruption takes, as far as is known at `now`."""
        spans = [(since, until) for since, until, _ in self.ended]
        if (current := self.status(now, 0).current) is not None:
            spans.append((now - current.seconds, now))
        return [min(until, end) - max(since, begin) for since, until in spans if since < end and until > begin]


class Gaps(Outside):
    """Watches the interruptions of a cluster's links. Call `check` often."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._judged: dict[WitnessedInterruptions, int] = {}
        """How many of each link's interruptions have been looked at."""
        self._looked: dict[WitnessedInterruptions, float] = {}
        """Up to when each link's gaps have been."""

    def check(self) -> str | None:
        """What is wrong; None: nothing."""
        for worker in self._cluster.workers:
            link = _of_worker(worker)
            if link is not None and (wrong := self._check_invented(worker, link) or self._check_told(worker, link)):
                return f"{worker.name}: {wrong}"
            for name, heard in self._of_producers(worker):
                if wrong := self._check_told(worker, heard):
                    return f"{name}, of {worker.name}: {wrong}"
        return None

    def _of_producers(self, worker: WorkerMachine) -> list[tuple[str, WitnessedInterruptions]]:
        """The only producer's link: several may each be well while none serves, and so may one behind a stranger."""
        [machine, *others] = self._cluster.producers
        if others or self._cluster.strangers or not machine.is_running or machine.producer is None:
            return []
        links = [link for link in machine.producer.links if link.worker == worker.name]
        return [(machine.name, link.interruptions) for link in links if _is_witness(link.interruptions)]

    def _check_invented(self, worker: WorkerMachine, link: WitnessedInterruptions) -> str | None:
        new = link.ended[self._judged.get(link, 0) :]
        self._judged[link] = len(link.ended)
        for since, until, interruption in new:
            moved = [at for at in worker.moved_at if since + MOMENT < at < until - MOMENT]
            if moved:
                return f"{interruption} from {since:.3f} to {until:.3f}, and numbers came at {moved[0]:.3f}"
            limit = INTERRUPTION_HEARTBEATS * self._cluster.plan.shape.heartbeat
            if interruption.cause in (Pause.SILENCE, Pause.STALLED) and interruption.seconds <= limit - MOMENT:
                return f"{interruption} is no longer than may be"
        return None

    def _check_told(self, worker: WorkerMachine, link: WitnessedInterruptions) -> str | None:
        now, shape = worker.clock.now(), self._cluster.plan.shape
        if link.first_proved_at is None:
            return None
        begin = max(self._looked.get(link, -inf), link.first_proved_at)
        for end in [*[at for at in worker.moved_at if at > begin], now]:
            told = link.overlaps(begin, end, now)
            untold = end - begin - sum(told)
            # After each interruption the rate starts over.
            if untold > UNTOLD_HEARTBEATS * shape.heartbeat + (1 + len(told)) / shape.rate + SLACK:
                return f"stood still from {begin:.3f} to {end:.3f}, {untold:.3f} s of it without an interruption"
            if end < now:
                begin = self._looked[link] = end
        return None


def _of_worker(worker: WorkerMachine) -> WitnessedInterruptions | None:
    if worker.worker is None or not worker.is_running:
        return None
    link = worker.worker.intake.interruptions
    return link if isinstance(link, WitnessedInterruptions) else None


def _is_witness(link: object) -> bool:
    return isinstance(link, WitnessedInterruptions)
