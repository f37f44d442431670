"""Roles that do nothing, for an observer to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from randstream.clock import Clock
from randstream.errors import Reason
from randstream.observe.expiry import Certificate
from randstream.observe.interruptions import KEPT, Cause, Interruption, Interruptions, InterruptionsStatus
from randstream.observe.journal import Journal
from randstream.observe.status import LinkState, LinkStatus, Standby
from randstream.observe.tally import Tally
from randstream.observe.tap import Tap

RoleName = Literal["producer", "worker"]
ROLE_NAMES: Final[tuple[RoleName, ...]] = ("producer", "worker")


class FakeInterruptions(Interruptions):
    """The given interruptions of a link whose first contact was `contact` seconds ago, after `forgotten` others.

    `current` is the start of one that goes on, in seconds since 1970, and its cause.
    """

    def __init__(
        self,
        over: Iterable[Interruption] = (),
        current: tuple[float, Cause] | None = None,
        contact: float = 36_000.0,
        forgotten: int = 0,
    ) -> None:
        super().__init__(Clock())
        self.count = forgotten
        self._over: list[Interruption] = []
        self._current = current
        self._contact = contact
        for one in over:
            self.add(one)

    def add(self, one: Interruption) -> None:
        """One more that is over."""
        self._over.append(one)
        self.count += 1

    @property
    def last(self) -> Sequence[Interruption]:
        return tuple(self._over)

    def status(self, now: float, most: int = KEPT) -> InterruptionsStatus:
        current = None
        if self._current is not None:
            since, cause = self._current
            current = Interruption(since, Clock.wall_time() - since, cause, None)
        lengths = [one.seconds for one in [*self._over, current] if one is not None]
        return InterruptionsStatus(
            count=self.count,
            longest=max(lengths, default=0.0),
            total=sum(lengths),
            availability=1.0 - sum(lengths) / self._contact,
            current=current,
            last=self._over[-most:] if most else (),
        )


class Interrupted(Interruptions):
    """Those of a link that a timeout has interrupted for `seconds`, if any."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Clock())
        self._current = Interruption(0.0, seconds, Reason.TIMEOUT, None) if seconds else None

    def status(self, now: float, most: int = KEPT) -> InterruptionsStatus:
        return replace(super().status(now, most), current=self._current)


@dataclass(eq=False)
class FakeLink:
    """A link in any given state."""

    worker: str | None = "worker-0"
    peer: str = "10.0.0.1:9000"
    state: LinkState = LinkState.STREAMING
    offset: int = 0
    acked_offset: int = 0
    round_trip: float | None = 0.001
    passed: list[float] = field(default_factory=list)
    """The numbers of which `recent_numbers` returns the last."""
    silence: float = 0.5
    reconnects: int = 0
    error: str | None = None
    reason: str | None = None
    since: float | None = None
    interruptions: Interruptions = field(default_factory=lambda: Interruptions(Clock()))
    served_by: str | None = None
    served_for: float | None = None
    standbys: tuple[Standby, ...] = ()

    @property
    def label(self) -> tuple[str, str]:
        return self.worker or "", self.peer

    def status(self, now: float, rate: float, interruptions: int = 0) -> LinkStatus:
        return LinkStatus(
            self.worker,
            self.peer,
            "6ae2a63a0ac05109",
            self.state,
            self.offset,
            self.acked_offset,
            rate,
            self.round_trip,
            self.silence,
            self.reconnects,
            self.error,
            self.reason,
            self.since,
            self.interruptions.status(now, interruptions),
            self.served_by,
            self.served_for,
            self.standbys,
        )

    def recent_numbers(self, since: int, count: int) -> list[float]:
        return self.passed[-count:]


@dataclass
class FakeRole:
    """A role in any given state."""

    role: RoleName = "producer"
    name: str = "producer-0"
    numbers: str | None = "integers:1:100"
    rate: float | None = 40.0
    heartbeat: float | None = 1.0
    problem: str | None = None
    links: list[FakeLink] = field(default_factory=lambda: [FakeLink()])
    tally: Tally = field(default_factory=Tally)
    journal: Journal = field(default_factory=lambda: Journal(Clock()))
    warning: str | None = None
    clock: Clock = field(default_factory=Clock)
    tap: Tap | None = None
    certificates: list[Certificate] = field(default_factory=list)

    def advance(self, count: int) -> None:
        """Every link sends `count` numbers."""
        for link in self.links:
            link.offset += count
            self.tally.numbers += count


@dataclass
class FakeStore:
    """The public attributes of a durable sink's store."""

    path: Path | None
    committed_offset: int | None
    other_streams: int = 0


def a_fake_worker(store: FakeStore | None) -> FakeRole:
    """A worker with a tap, and with a store if one is given."""
    return FakeRole("worker", "worker-0", tap=Tap(store))
