"""Seed: given, or drawn from randomness that is handed in. `numbers.seed` defines what may be one."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Final

DRAWN_BITS: Final = 128


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed that is in no repr."""

    text: str = field(repr=False)
    was_drawn: bool = False
    """It was not given, so it is logged, once."""


def draw_seed(random: Random) -> Seed:
    """A new seed: 32 hex digits."""
    return Seed(f"{random.getrandbits(DRAWN_BITS):0{DRAWN_BITS // 4}x}", was_drawn=True)
