"""Distributions: a 64-bit word becomes a number. Pure and portable: the same bits on every processor.

Each number is made from exactly one word and grows with it. What is not integer arithmetic keeps to the
operations that `portable` allows. `docs/protocol.md`, "The numbers", is the authority; a change in any result
is a new version of the algorithm.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from operator import index
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

import numpy as np
import orjson
from numpy.typing import NDArray

from ..errors import SettingsError
from .portable import inverse_normal, inverse_normals, log

Words = NDArray[np.uint64]
NumberArray = NDArray[Any]

LAST_WORD: Final = 2**64 - 1
MAX_SPAN: Final = 2**32
"""The most values of `integers`: keeps its products within 64 bits, and the bias below 2^-32."""

INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
FLOAT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


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
            return Integers(_integer(low), _integer(high))
        case ["bits64"]:
            return Bits64()
        case ["uniform", low, high]:
            return Uniform(_float(low), _float(high))
        case ["exponential", scale]:
            return Exponential(_float(scale))
        case ["normal", mean, sd]:
            return Normal(_float(mean), _float(sd))
    raise SettingsError(
        f"{text!r} is no distribution; use integers:LOW:HIGH, bits64, uniform:LOW:HIGH, exponential:SCALE"
        " or normal:MEAN:SD"
    )


def is_canonical(text: str) -> bool:
    """Whether `text` is a distribution in the one spelling that makes it a stream's."""
    try:
        return parse_distribution(text).spelling == text
    except SettingsError:
        return False


@dataclass(frozen=True, slots=True)
class Integers:
    """Whole numbers from `low` to `high`, both included, equally likely to within 2^-32."""

    dtype: ClassVar[str] = "int64"
    low: int
    high: int

    def __post_init__(self) -> None:
        _set(self, low=index(self.low), high=index(self.high))  # NumPy's integers would wrap
        _require(self, -(2**63) <= self.low <= self.high < 2**63, "-2^63 <= LOW <= HIGH <= 2^63-1")
        if self.span > MAX_SPAN:
            raise SettingsError(f"{self.spelling} has more than 2^32 values; use a narrower range, or bits64")

    @property
    def span(self) -> int:
        return self.high - self.low + 1

    @property
    def spelling(self) -> str:
        return f"integers:{self.low}:{self.high}"

    def from_word(self, word: int) -> int:
        return self.low + (word * self.span >> 64)

    def from_words(self, words: Words) -> NumberArray:
        """By 32-bit halves: with span <= 2^32 no step exceeds 2^64 - 1, so that each is exact."""
        index = words & 0xFFFFFFFF
        index *= self.span
        index >>= 32
        index += (words >> 32) * self.span
        index >>= 32
        numbers = index.view(np.int64)
        numbers += self.low
        return numbers


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
        _set(self, low=float(self.low), high=float(self.high))
        _require(self, self.low <= self.high, "LOW <= HIGH")

    @property
    def spelling(self) -> str:
        return _spell("uniform", self.low, self.high)

    def from_word(self, word: Any) -> Any:
        return self.low + (self.high - self.low) * ((word >> 11) * 2.0**-53)

    from_words = from_word


@dataclass(frozen=True, slots=True)
class Exponential:
    """Real numbers above 0 with mean `scale`, by inversion: at most 36.8 times the scale."""

    dtype: ClassVar[str] = "float64"
    scale: float

    def __post_init__(self) -> None:
        _set(self, scale=float(self.scale))
        _require(self, self.scale >= 0, "SCALE >= 0")

    @property
    def spelling(self) -> str:
        return _spell("exponential", self.scale)

    def from_word(self, word: Any) -> Any:
        return self.scale * -log(1.0 - _probability(word))

    from_words = from_word


@dataclass(frozen=True, slots=True)
class Normal:
    """Real numbers around `mean` with standard deviation `sd`, by inversion: at most 8.3 of it away."""

    dtype: ClassVar[str] = "float64"
    mean: float
    sd: float

    def __post_init__(self) -> None:
        _set(self, mean=float(self.mean), sd=float(self.sd))
        _require(self, self.sd >= 0, "SD >= 0")

    @property
    def spelling(self) -> str:
        return _spell("normal", self.mean, self.sd)

    def from_word(self, word: int) -> float:
        return self.mean + self.sd * inverse_normal(_probability(word))

    def from_words(self, words: Words) -> NumberArray:
        return self.mean + self.sd * inverse_normals(_probability(words))


def _probability(words: Any) -> Any:
    """The middle of one of 2^52 equal cells: strictly between 0 and 1. Both it and 1 minus it are exact."""
    return ((words >> 12) + 0.5) * 2.0**-52


def _set(distribution: Distribution, **parameters: float) -> None:
    """Make its `parameters` Python's own numbers, of whatever type they were given: they are spelled and summed."""
    for name, value in parameters.items():
        object.__setattr__(distribution, name, value + 0)  # -0.0 becomes 0.0


def _require(distribution: Distribution, holds: bool, needs: str) -> None:
    """Refuse parameters of which what it `needs` does not hold, and those that make numbers beyond float64."""
    if not holds:
        raise SettingsError(f"{distribution.spelling} cannot be: it needs {needs}")
    # Numbers grow with their words, so those of the first and the last word bound them all.
    if not all(math.isfinite(distribution.from_word(word)) for word in (0, LAST_WORD)):
        raise SettingsError(f"{distribution.spelling} exceeds the largest float64; use smaller parameters")


def _integer(text: str) -> int:
    if not INTEGER.fullmatch(text):
        raise SettingsError(f"{text!r} is not a whole number; write it like 42 or -42")
    return int(text)


def _float(text: str) -> float:
    if not FLOAT.fullmatch(text):
        raise SettingsError(f"{text!r} is not a number; write it like 2.5, -3 or 1e-9")
    number = float(text)
    if math.isinf(number):
        raise SettingsError(f"{text!r} is beyond the largest float64, about 1.8e308; use a smaller number")
    return number


def _spell(kind: str, *parameters: float) -> str:
    return ":".join([kind, *(orjson.dumps(parameter).decode() for parameter in parameters)])
