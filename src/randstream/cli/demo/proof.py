"""Proof: a demo's closing words, which claim no more than was seen."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.text import Text

from ...store import StreamReport, verify

STOPPED: Final = 130
"""The exit status of a demo that was stopped before it could prove anything."""
UNSEEN: Final = (
    "Stopped early: nothing was killed or cut.",
    "Stopped early: a producer was killed, but no worker, and no connection was cut.",
    "Stopped early: a producer and a worker were killed, but no connection was cut.",
)
"""What a demo has not shown, by how many of its faults there were."""


def prove(
    store: Path, seed: str, acked: Mapping[str, int], stood_still: Mapping[str, float], faults: int
) -> tuple[list[Text], int]:
    """Check `store` against the seed and `acked`, each worker's acknowledged offset. The words, and the exit status.

    `stood_still`: for how many seconds each worker's stream did not flow.
    """
    report = verify([store], seed)
    found = [describe(stream, acked) for stream in report.streams]
    if len(found) < len(stood_still) or not all(exact for _, exact in found):
        verdict, status = Text("NOT EXACT: please report this as a bug.", "red"), 1
    elif not report.count:
        verdict, status = Text("No number had arrived: nothing is proven.", "yellow"), STOPPED
    else:
        verdict, status = Text("Every number is where it belongs.", "green"), 0
    words = [
        Text("The proof: every number that arrived, against the same made again from the seed."),
        *(Text(line) for line, _ in found),
        Text("Stood still: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in stood_still.items())),
        verdict,
        *(Text(line, "yellow") for line in UNSEEN[faults : faults + 1]),
    ]
    again = f"{sys.executable} -m randstream numbers --seed {seed} --worker worker-0 --offset 0 --count 5"
    return [*words, Text(f"Make any of them again:  {again}")], status


def describe(stream: StreamReport, acked: Mapping[str, int]) -> tuple[str, bool]:
    """The proof for one worker in one line, and whether its numbers are exact."""
    name = stream.opened.worker if stream.opened else stream.folder.name
    if stream.damage is not None:
        return f"{name}: NOT EXACT: {stream.damage}", False
    missing = max(0, acked.get(name, 0) - stream.end_offset) + stream.first_offset
    if not stream.count:
        return f"{name}: no number, {missing} missing", not missing
    numbers = f"{stream.count:,} numbers, offsets {stream.first_offset} to {stream.end_offset - 1}"
    return f"{name}: {numbers}: 0 wrong, {missing} missing, 0 repeated", not missing
