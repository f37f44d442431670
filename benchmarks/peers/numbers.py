"""The numbers that every peer sends: the same stream, from the same fast encoder as randstream's own producer."""

from collections.abc import Iterator
from itertools import count as count_from
from itertools import pairwise

import numpy as np

from randstream import NumberStream

RUN = 16384


def batches(size: int) -> Iterator[bytes]:
    """The stream as text, `size` lines at a time, for ever, as fast as Python can cut it out of runs."""
    stream = NumberStream("benchmark", "peer", "bits64")
    numbers = max(size, RUN // size * size)
    for offset in count_from(0, numbers):
        run = stream.lines(offset, numbers)
        if size == 1:
            yield from run.splitlines(keepends=True)
        else:
            ends = np.flatnonzero(np.frombuffer(run, np.uint8) == ord("\n"))[size - 1 :: size] + 1
            yield from (run[start:end] for start, end in pairwise([0, *ends.tolist()]))
