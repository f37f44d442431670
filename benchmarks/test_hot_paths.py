"""Guard: no hot function may become twice as slow as it was, relative to a fixed piece of Python in the same run.

`make bench-guard`. The baselines are ratios, not times: they hold on any machine, as far as Python and NumPy age alike.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from randstream import NumberStream, speedups
from randstream.protocol.decoder import Decoder
from randstream.protocol.frames import Ack, Beat, crc32c, encode, extend_crc, parse_control_line
from randstream.store.files import OSFile
from randstream.store.segment import PendingInterval, Segment

COUNT = 16384
STREAM = NumberStream("guard", "worker-0", "bits64")
NORMAL = NumberStream("guard", "worker-0", "normal:0:1")
RUN = STREAM.lines(0, COUNT)
ACK = encode(Ack(123456789, "1234567890123"))[:-1]
INTERVAL = PendingInterval(0, [RUN], Beat(COUNT, crc32c(RUN), "17"), len(RUN))


class NoFile(OSFile):
    """A file that keeps nothing: our code is timed, not the disk."""

    def __init__(self) -> None:
        super().__init__(-1)

    def write(self, position: int, chunks: object) -> None: ...
    def fdatasync(self) -> None: ...
    def evict(self, position: int) -> None: ...


SEGMENT = Segment(Path("00000000000000000000.numbers"), NoFile(), 0, 0)

BASELINES: dict[str, float] = {
    "draw and format a run": 0.036,
    "draw and format a run, without speed-ups": 0.12,
    "draw and format a run of floats": 0.13,
    "draw and format a run of floats, without speed-ups": 0.28,
    "decode a run": 0.016,
    "decode a run, without speed-ups": 0.035,
    "check a run": 0.016,
    "append an interval": 10.5,
    "draw one number": 12.5,
    "a beat and its ack": 22.0,
}
"""Time per number (or per call) as a multiple of the reference's time per number."""


def reference() -> int:
    """The reference: format numbers the plain way. Never change it: every baseline is a multiple of it."""
    return sum(len(f"{number}\n") for number in range(2**63, 2**63 + 2000))


def best_of(function: Callable[[], Any], rounds: int = 60) -> float:
    """Seconds of the fastest of some calls: noise only adds."""
    times = []
    for _ in range(rounds):
        started = perf_counter()
        function()
        times.append(perf_counter() - started)
    return min(times)


HOT: dict[str, tuple[Callable[[], Any], int]] = {
    "draw and format a run": (lambda: STREAM.lines(0, COUNT), COUNT),
    "draw and format a run of floats": (lambda: NORMAL.lines(0, COUNT), COUNT),
    "decode a run": (lambda: list(Decoder().decode(RUN)), COUNT),
    "check a run": (lambda: extend_crc(0, RUN), COUNT),
    "append an interval": (lambda: SEGMENT.append([INTERVAL]), 1),
    "draw one number": (lambda: STREAM.lines(12345, 1), 1),
    "a beat and its ack": (lambda: (encode(Beat(1, 2, "3")), parse_control_line(ACK)), 1),
}


@pytest.mark.parametrize("name", BASELINES)
def test_hot_function_is_less_than_twice_as_slow_as_its_baseline(
    name: str, benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert speedups.ARE_COMPILED
    kind, _, without = name.partition(", without")
    function, numbers = HOT[kind]
    monkeypatch.setattr(speedups, "ARE_COMPILED", not without)
    ratios = []
    for _ in range(3):
        ratios.append((best_of(function) / numbers) / (best_of(reference) / 2000))
    benchmark.extra_info["ratio"] = round(min(ratios), 4)
    benchmark.pedantic(function, rounds=20, warmup_rounds=2)
    print(f"{name}: {min(ratios):.4f} of a number of the reference (baseline {BASELINES[name]})")
    assert min(ratios) < 2 * BASELINES[name]
