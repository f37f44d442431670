"""One stream for all tests of the store, cut into intervals, and stores that hold it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, Lines, Open, crc32c, encode
from randstream.store.files import Files, OSFiles
from randstream.store.segment import PendingInterval
from randstream.store.store import Store

SEED = "42"
WORKER = "worker-0"
STREAM = NumberStream(SEED, WORKER, "integers:1:100")
OFFERED = Open(WORKER, STREAM.id, "integers:1:100", "producer-0", 1.0)
FOLDER = f"{WORKER}-{STREAM.id}"

COUNT = 200_000
TEXT = STREAM.lines(0, COUNT)
_STARTS = [0, *(np.flatnonzero(np.frombuffer(TEXT, np.uint8) == ord("\n")) + 1).tolist()]


def text(first: int, end: int) -> bytes:
    """Number lines `first` up to `end`."""
    return TEXT[_STARTS[first] : _STARTS[end]]


def interval(first: int, end: int) -> PendingInterval:
    lines = text(first, end)
    return PendingInterval(first, [lines], Beat(end, crc32c(lines), "17"), len(lines))


def stored(first: int, *ends: int) -> bytes:
    """A segment as it ought to be: from `first` on, with a beat at each of `ends`."""
    parts: list[Lines] = [encode(OFFERED), encode(Beat(first, 0, "0"))]
    for end in ends:
        pending = interval(first, end)
        parts += [*pending.runs, encode(pending.beat)]
        first = end
    return b"".join(parts)


def make_store(
    folder: Path,
    *ends: int,
    segment_bytes: int = 2**30,
    retain_bytes: int | None = None,
    files: Files | None = None,
) -> Path:
    """Store the stream up to each of `ends`, a commit each; the stream's folder."""
    store = Store(folder, WORKER, segment_bytes, retain_bytes, files or OSFiles())
    store.start()
    offset = store.open(OFFERED)
    for end in ends:
        offset = store.commit([interval(offset, end)])
    store.close()
    return folder / FOLDER
