"""Census: compares a store with the seed in two ways: with `randstream.store.verify`, and by reading its lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from randstream.numbers.stream import NumberStream
from randstream.store import verify

_CONTROL_LINE: Final = re.compile(rb"^#.*\n", re.MULTILINE)
_BLOCK: Final = 2**16


@dataclass(frozen=True, slots=True)
class Census:
    """What a worker's store holds. `problem` is None if that is exactly its stream from `first` up to `end`."""

    first: int
    end: int
    problem: str | None


def take_census(store: Path, worker: str, numbers: str, seed: str) -> Census:
    """Read all that `worker` has stored: byte for byte the stream, nothing lost, repeated, out of order or changed."""
    stream = NumberStream(seed, worker, numbers)
    folder = store / f"{worker}-{stream.id}"
    report = verify([folder], seed).streams[0]
    census = Census(report.first_offset, report.end_offset, None)
    if report.damage is not None:
        return Census(census.first, census.end, str(report.damage))
    offset = census.first
    for path in sorted(folder.glob("*.numbers")):
        if offset != int(path.stem):
            return Census(census.first, offset, f"{path} follows on offset {offset}")
        lines = _CONTROL_LINE.sub(b"", _proven(path.read_bytes()))
        count = lines.count(b"\n")
        if lines != _make(stream, offset, count):
            return Census(census.first, offset, f"{path} is not what the seed makes, and verify did not notice")
        offset += count
    problem = None if offset == census.end else f"{folder} holds {offset} numbers, and verify counts {census.end}"
    return Census(census.first, offset, problem)


def _proven(data: bytes) -> bytes:
    """Everything up to the last beat."""
    last = data.rfind(b"\n#beat ") + 1
    return data[: data.find(b"\n", last) + 1]


def _make(stream: NumberStream, offset: int, count: int) -> bytes:
    ends = range(offset, offset + count, _BLOCK)
    return b"".join(stream.lines(first, min(_BLOCK, offset + count - first)) for first in ends)
