"""Crew: the producers and workers of a storm."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tests.chaos.process import Process
from tests.chaos.proxy import FaultProxy

GRACE: Final = "2"
"""Seconds that a process has to end after SIGTERM: few, because some links lead into a blackhole."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Producers of one distribution and rate, and the workers they stream to."""

    name: str
    numbers: str
    rate: str
    workers: tuple[str, ...]
    segment_bytes: int
    retain_bytes: int | None = None


CREWS: Final = (
    Crew("integers", "integers:1:100", "5000", ("worker-0", "worker-1"), segment_bytes=16384),
    Crew("normal", "normal:0.0:1.0", "300", ("worker-2",), segment_bytes=4096),
    Crew("bits", "bits64", "max", ("worker-3",), segment_bytes=2**20, retain_bytes=2**25),
)
"""Small segments, so that files roll all the time, and one stream at full speed of which only the newest is kept."""


@dataclass(slots=True)
class Seat:
    """A worker, its process, and the proxy in front of it."""

    worker: str
    crew: Crew
    process: Process
    proxy: FaultProxy
    waits: list[int] = field(default_factory=list)
    """After each fault: heartbeats until the stream moved again."""
