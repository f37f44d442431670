"""Stream: the one that most tests send, and what it is made from."""

from __future__ import annotations

from typing import Final

from randstream.numbers.stream import NumberStream

SEED: Final = "42"
WORKER: Final = "worker-0"
NUMBERS: Final = "integers:1:100"


def stream(worker: str = WORKER) -> NumberStream:
    """The stream that a producer of SEED and NUMBERS sends to `worker`."""
    return NumberStream(SEED, worker, NUMBERS)
