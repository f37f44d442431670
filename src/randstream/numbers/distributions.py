"""Distributions: a 64-bit word becomes a number. Pure and portable: the same bits on every processor.

Each number is made from exactly one word and grows with it. Floating-point arithmetic keeps to the
operations that `portable` allows. `docs/protocol.md`, "The numbers", is the authority; a change in any result
is a new version of the algorithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import index
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from .counts import Bernoulli, Poisson
from .parameters import read_float, read_integer, require, settle, spell
from .portable import inverse_normal, inverse_normals, log

Words = NDArray[np.uint64]
NumberArray = NDArray[Any]
Standard = tuple[str, float, float]
"""Family, location and scale: a number is location + scale * the number of the family's standard distribution."""

LAST_WORD: Final = 2**64 - 1
LOWER_HALF: Final = 2**32 - 1


@runtime_checkable
class Distribution(Protocol):
    """What the numbers of a stream look like. Made by `parse_distribution`; immutable."""

    dtype: ClassVar[str]
    """NumPy's name for the type of the numbers."""

    @property
    def spelling(self) -> str:
        """The canonical text: part of a stream's identity, and the `numbers=` of the wire."""

    def from_word(self, word: int) -> int | float:
        """The number made from one word, 0 <= word < 2^64."""

    def from_words(self, words: Words) -> NumberArray:
        """The numbers made from `words`, shape (n,): `from_word` of each, shape (n,). It may be `words` itself."""


def parse_distribution(text: str) -> Distribution:
    """The distribution that `text` means, such as `normal:0:1`. Raises SettingsError."""
    match str(text).split(":"):
        case ["integers", low, high]:
            return Integers(read_integer(low), read_integer(high))
        case ["bits64"]:
            return Bits64()
        case ["bernoulli", p]:
            return Bernoulli(read_float(p))
        case ["poisson", mean]:
            return Poisson(read_float(mean))
        case ["uniform", low, high]:
            return Uniform(read_float(low), read_float(high))
        case ["exponential", scale]:
            return Exponential(read_float(scale))
        case ["normal", mean, sd]:
            return Normal(read_float(mean), read_float(sd))
    raise SettingsError(
        f"{text!r} is not a distribution; use integers:LOW:HIGH, bits64, bernoulli:P, poisson:LAMBDA, uniform:LOW:HIGH,"
        " exponential:SCALE or normal:MEAN:SD, such as normal:0:1"
    )


def is_canonical(text: str) -> bool:
    """Whether `text` is a distribution in its canonical spelling."""
    try:
        return parse_distribution(text).spelling == text
    except SettingsError:
        return False


@dataclass(frozen=True, slots=True)
class Integers:
    """Whole numbers from `low` to `high`, both included: each is made by as many of the 2^64 words, or one more."""

    dtype: ClassVar[str] = "int64"
    low: int
    high: int

    def __post_init__(self) -> None:
        settle(self, low=index(self.low), high=index(self.high))  # NumPy's integers would wrap
        require(self.spelling, -(2**63) <= self.low <= self.high < 2**63, "-2^63 <= LOW <= HIGH <= 2^63-1")

    @property
    def span(self) -> int:
        return self.high - self.low + 1

    @property
    def spelling(self) -> str:
        return f"integers:{self.low}:{self.high}"

    def from_word(self, word: int) -> int:
        return self.low + (word * self.span >> 64)

    def from_words(self, words: Words) -> NumberArray:
        indices = _upper_halves(words, self.span)
        indices += self.low & LAST_WORD  # wraps at 2^64, as int64 does
        return indices.view(np.int64)


@dataclass(frozen=True, slots=True)
class Bits64:
    """The words themselves: whole numbers from 0 to 2^64 - 1."""

    dtype: ClassVar[str] = "uint64"
    low: ClassVar[int] = 0
    span: ClassVar[int] = 2**64

    @property
    def spelling(self) -> str:
        return "bits64"

    def from_word(self, word: int) -> int:
        return word

    def from_words(self, words: Words) -> NumberArray:
        return words


@dataclass(frozen=True, slots=True)
class Uniform:
    """Real numbers from `low` to `high`, in 2^53 equal steps; rounding may reach `high`, never more."""

    dtype: ClassVar[str] = "float64"
    low: float
    high: float

    def __post_init__(self) -> None:
        settle(self, low=float(self.low), high=float(self.high))
        _require(self, self.low <= self.high, "LOW <= HIGH")

    @property
    def spelling(self) -> str:
        return spell("uniform", self.low, self.high)

    @property
    def standard(self) -> Standard:
        return "uniform", self.low, self.high - self.low

    def from_word(self, word: Any) -> Any:
        return self.low + (self.high - self.low) * ((word >> 11) * 2.0**-53)

    from_words = from_word


@dataclass(frozen=True, slots=True)
class Exponential:
    """Real numbers above 0 with mean `scale`, by inversion: at most 36.8 times the scale."""

    dtype: ClassVar[str] = "float64"
    scale: float

    def __post_init__(self) -> None:
        settle(self, scale=float(self.scale))
        _require(self, self.scale >= 0, "SCALE >= 0")

    @property
    def spelling(self) -> str:
        return spell("exponential", self.scale)

    @property
    def standard(self) -> Standard:
        return "exponential", 0.0, self.scale

    def from_word(self, word: Any) -> Any:
        return self.scale * -log(1.0 - _probability(word))

    from_words = from_word


@dataclass(frozen=True, slots=True)
class Normal:
    """Real numbers around `mean` with standard deviation `sd`, by inversion: at most 8.3 of these away."""

    dtype: ClassVar[str] = "float64"
    mean: float
    sd: float

    def __post_init__(self) -> None:
        settle(self, mean=float(self.mean), sd=float(self.sd))
        _require(self, self.sd >= 0, "SD >= 0")

    @property
    def spelling(self) -> str:
        return spell("normal", self.mean, self.sd)

    @property
    def standard(self) -> Standard:
        return "normal", self.mean, self.sd

    def from_word(self, word: int) -> float:
        return self.mean + self.sd * inverse_normal(_probability(word))

    def from_words(self, words: Words) -> NumberArray:
        return self.mean + self.sd * inverse_normals(_probability(words))


Continuous = Uniform | Exponential | Normal
"""Distributions whose numbers the speed-ups make as well, with the same bits."""


def _upper_halves(words: Words, span: int) -> NumberArray:
    """floor(words * span / 2^64), 0 < span <= 2^64, by 32-bit halves: nothing exceeds 2^64 - 1, so all is exact."""
    top, bottom = divmod(span, 2**32)
    middle = words & LOWER_HALF
    middle *= bottom
    middle >>= 32
    middle += (words >> 32) * bottom
    if top == 0:
        middle >>= 32
        return middle
    lower = (words & LOWER_HALF) * top
    lower += middle & LOWER_HALF
    lower >>= 32
    upper = (words >> 32) * top
    upper += middle >> 32
    upper += lower
    return upper


def _probability(words: Any) -> Any:
    """The middle of one of 2^52 equal cells: strictly between 0 and 1. Both it and 1 minus it are exact."""
    return ((words >> 12) + 0.5) * 2.0**-52


def _require(distribution: Distribution, holds: bool, needs: str) -> None:
    """Refuse parameters that do not meet what it `needs`, and those that make numbers beyond float64."""
    require(distribution.spelling, holds, needs)
    # Numbers grow with their words, so those of the first and the last word bound them all.
    if not all(math.isfinite(distribution.from_word(word)) for word in (0, LAST_WORD)):
        raise SettingsError(f"{distribution.spelling} exceeds the largest float64; use smaller parameters")
