"""Roles that do nothing, for an observer to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from randstream.clock import Clock
from randstream.observe.journal import Journal
from randstream.observe.status import LinkState, LinkStatus
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
    """What its `recent_numbers` are."""

    @property
    def label(self) -> tuple[str, str]:
        return self.worker or "", self.peer

    def status(self, now: float, rate: float) -> LinkStatus:
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
            None,
        )

    def recent_numbers(self, since: int, count: int) -> list[float]:
        return self.passed[-count:]


@dataclass
class FakeRole:
    """A role with whatever a test gives it."""

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
    """What a durable sink tells of the store that it writes."""

    path: Path | None
    committed_offset: int | None


def a_fake_worker(store: FakeStore | None) -> FakeRole:
    """A worker whose numbers pass a tap, and go into `store` if there is one."""
    return FakeRole("worker", "worker-0", tap=Tap(store))
