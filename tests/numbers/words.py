"""Words that matter: at the edges of the arithmetic, and of all magnitudes."""

from __future__ import annotations

import math

import numpy as np

from randstream.numbers.distributions import LAST_WORD

EDGE_WORDS = [
    *(word for k in range(65) for word in (2**k - 1, 2**k & LAST_WORD, -(2**k) & LAST_WORD)),
    *(round(p * 2**64) + d for p in (0.075, 0.5, 0.925, math.exp(-25)) for d in range(-8192, 8193, 1024)),
]


def drawn(count: int) -> list[int]:
    """Words that cover all magnitudes: an even draw, and the same shifted right by 0 to 51 bits."""
    even = np.random.Philox(key=20).random_raw(count)
    return [*even.tolist(), *(even >> (np.arange(count, dtype=np.uint64) % 52)).tolist()]
