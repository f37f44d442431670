"""Seed: what a seed may be, and where it comes from. Holds no source of randomness: who draws a seed hands one in."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

DRAWN_BITS: Final = 128


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed that is in no repr."""

    text: str = field(repr=False)
    was_drawn: bool = False
    """Nobody gave it, so it is logged, once."""


def check_seed(value: Any) -> str:
    """Any text that is not empty, without the white space at its ends. Raises SettingsError."""
    from ..numbers.stream import parse_seed  # NumPy: not for --help

    return parse_seed(str(value))


def draw_seed(random: Random) -> Seed:
    """A new seed: 32 hex digits."""
    return Seed(f"{random.getrandbits(DRAWN_BITS):0{DRAWN_BITS // 4}x}", was_drawn=True)
