"""Crew: the producers and workers of a storm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.chaos.plan import CORRUPTIONS, CUTS, Kind
from tests.chaos.process import HEARTBEAT, Event, Process
from tests.chaos.proxy import FaultProxy

GRACE: Final = "2"
"""Seconds that a process has to end after SIGTERM: few, because some links lead into a blackhole."""
_GROUPS: Final = dict.fromkeys(CUTS, "cut") | dict.fromkeys([*CORRUPTIONS, Kind.DUPLICATE], "corruption")


@dataclass(frozen=True, slots=True)
class Crew:
    """Any of the producers may serve any of the workers."""

    producers: Mapping[str, str]
    """The rate of each."""
    workers: tuple[str, ...]
    numbers: str = "integers:1:100"
    segment_bytes: int = 16384
    """Small, so that files roll all the time."""
    retain_bytes: Mapping[str, int] = field(default_factory=dict)


CREW: Final = Crew(
    {"producer-0": "5000", "producer-1": "300", "producer-2": "50000"},
    ("worker-0", "worker-1", "worker-2"),
    segment_bytes=2**18,
    retain_bytes={"worker-2": 2**22},
)
"""Whoever serves, the stream is the same, only slower or faster."""


class Silences:
    """How long streams stood still, by what caused it: what the workers say in `link.resumed`."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], list[float]] = defaultdict(list)

    def note(self, cause: str, event: Event) -> None:
        if event["after"] == "start":
            cause = "nobody stood by"
        elif event["after"] == "hand-over":
            cause = "hand-over"
        self._seconds[cause, event["interrupted_by"]].append(event["interruption"])

    def table(self) -> list[str]:
        titles = f"{'a stream stood still after':<28}{'ended by':<12}{'times':>6}{'median':>10}{'longest':>10}"
        rows = [
            f"  {cause:<28}{reason:<12}{len(each):>6}{median(each) * 1e3:>7.0f} ms{max(each) * 1e3:>7.0f} ms"
            f"  {median(each) / HEARTBEAT:.2f}, {max(each) / HEARTBEAT:.2f}"
            for (cause, reason), each in sorted(self._seconds.items())
        ]
        return [f"  {titles}  heartbeats", *rows]


@dataclass(slots=True)
class Seat:
    """A worker, its process, and a proxy between it and each producer."""

    worker: str
    process: Process
    proxies: dict[str, FaultProxy]
    silences: Silences
    waits: list[int] = field(default_factory=list)
    """After each fault: heartbeats until the stream moved again."""
    serving: str | None = None
    """The producer that serves, as the worker's log has it."""
    _cause: str | None = None

    def accuse(self, kind: Kind, producer: str) -> None:
        """A fault hits `producer`: if it serves, and its stream stands still next, that is why."""
        if producer == self.serving:
            self._cause = _GROUPS.get(kind, kind) if self._cause is None else "several faults"

    def acquit(self, kind: Kind) -> None:
        """The fault is over; if the connection has outlived it, the next silence has another cause."""
        if self.serving is not None and self._cause == _GROUPS.get(kind, kind):
            self._cause = None

    def hear(self, event: Event) -> None:
        """The worker has logged `event`."""
        match event["event"]:
            case "worker.listening" | "link.lost" | "link.closed":
                self.serving = None
            case "link.resumed":
                self.serving = event["producer"]
                if "interruption" in event:
                    self.silences.note(self._cause or "other", event)
                self._cause = None
