"""Rank: which producer a worker prefers, by rendezvous hashing. Pure.

D. Thaler and C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", 1998: a producer that comes or goes
moves only its own share of the workers.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b


@lru_cache(maxsize=1024)
def rank(worker: str, producer: str) -> int:
    """How much `worker` wants to be served by `producer`: 64 bits, the higher the better."""
    text = f"randstream-rank/1\n{worker}\n{producer}\n"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
