"""Reads a stored stream of normals into arrays, and prints how many numbers in how many seconds.

python -m benchmarks.peers.read_store read_store|open_store|fromstring SECONDS
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from randstream import NumberStream, open_store, read_store
from randstream.protocol.frames import Beat, Open, crc32c, encode
from randstream.store.layout import encode_header, segment_path

COUNT, INTERVAL = 2_000_000, 100_000


def make_segment(folder: Path) -> Path:
    """A segment of COUNT numbers."""
    stream = NumberStream("benchmark", "worker-0", "normal:0:1")
    opened = Open(stream.worker, stream.id, stream.distribution.spelling, "producer-0", 1.0)
    path = segment_path(folder, 0)
    with path.open("wb") as file:
        file.write(encode_header(opened, 0))
        for first in range(0, COUNT, INTERVAL):
            lines = stream.lines(first, INTERVAL)
            file.write(lines + encode(Beat(first + INTERVAL, crc32c(lines), "1")))
    return path


def read(way: str, path: Path) -> int:
    """How many numbers there were."""
    if way == "read_store":
        return len(read_store(path))
    if way == "open_store":
        with open_store(path) as store:
            return sum(map(len, store.iter_blocks()))
    parts = re.split(rb"#[^\n]*\n", path.read_bytes())  # nothing is checked
    return sum(len(np.fromstring(part, sep="\n")) for part in parts if part)


def main() -> None:
    """Read for so long, once at least."""
    way, seconds = sys.argv[1], float(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="randstream-bench-") as folder:
        path = make_segment(Path(folder))
        started, count = time.perf_counter(), 0
        while (took := time.perf_counter() - started) < seconds or not count:
            count += read(way, path)
        print(count, took, flush=True)


if __name__ == "__main__":
    main()
