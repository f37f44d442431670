"""Generators: the 64-bit words that are tested, and broken ones that the tests have to find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from randstream.numbers.distributions import Words
from randstream.numbers.stream import NumberStream

Generator = Callable[[int, int], Words]
"""Takes an offset and a count; gives those words, shape (count,)."""

MANY: Final = 1000


def interleaved(streams: list[NumberStream]) -> Generator:
    """Word n is that of stream n mod their number: correlations between them are then those of successive words."""

    def words(offset: int, count: int) -> Words:
        first, skip = divmod(offset, len(streams))
        rows = (skip + count + len(streams) - 1) // len(streams)
        return np.stack([each.read(first, rows) for each in streams], axis=1).reshape(-1)[skip : skip + count]

    return words


def counter(offset: int, count: int) -> Words:
    """Its offsets."""
    return np.arange(offset, offset + count, dtype=np.uint64)


def stuck_bit(offset: int, count: int) -> Words:
    """One stream whose bit 40 is never set."""
    return SOUND["one stream"](offset, count) & ~np.uint64(1 << 40)


SOUND: Final[dict[str, Generator]] = {
    "one stream": NumberStream("statistics", "worker-0", "bits64").read,
    "1,000 workers": interleaved([NumberStream("statistics", f"worker-{n}", "bits64") for n in range(MANY)]),
    "1,000 seeds": interleaved([NumberStream(str(n), "worker-0", "bits64") for n in range(MANY)]),
}
BROKEN: Final[dict[str, Generator]] = {
    "counter": counter,
    "stuck bit": stuck_bit,
    "one key": interleaved([NumberStream("statistics", "worker-0", "bits64")] * MANY),
}
