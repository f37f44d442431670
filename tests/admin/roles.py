"""Roles that do nothing, for an observer to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from randstream.clock import Clock
from randstream.observe.interruptions import Interruptions
from randstream.observe.journal import Journal
from randstream.observe.status import LinkState, LinkStatus, Standby
from randstream.observe.tally import Tally
from randstream.observe.tap import Tap

RoleName = Literal["producer", "worker"]
ROLE_NAMES: Final[tuple[RoleName, ...]] = ("producer", "worker")


@dataclass(eq=False)
class FakeLink:
    """A link in whatever state it is given."""

    worker: str | None = "worker-0"
    peer: str = "10.0.0.1:9000"
    state: LinkState = LinkState.STREAMING
    offset: int = 0
    acked_offset: int = 0
    passed: list[float] = field(default_factory=list)
    """What `recent_numbers` returns the last of."""
    error: str | None = None
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
            0.001,
            0.5,
            0,
            self.error,
            self.interruptions.status(now, interruptions),
            self.served_by,
            self.served_for,
            self.standbys,
        )

    def recent_numbers(self, since: int, count: int) -> list[float]:
        return self.passed[-count:]


@dataclass
class FakeRole:
    """A role in whatever state it is given."""

    role: RoleName = "producer"
    name: str = "producer-0"
    numbers: str | None = "integers:1:100"
    problem: str | None = None
    links: list[FakeLink] = field(default_factory=lambda: [FakeLink()])
    tally: Tally = field(default_factory=Tally)
    journal: Journal = field(default_factory=lambda: Journal(Clock()))
    warning: str | None = None
    clock: Clock = field(default_factory=Clock)
    tap: Tap | None = None

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


def a_fake_worker(store: FakeStore | None) -> FakeRole:
    """A worker with a tap, and with a store if one is given."""
    return FakeRole("worker", "worker-0", tap=Tap(store))
