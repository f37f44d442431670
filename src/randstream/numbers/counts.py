"""Counts: distributions of how often something happens, which grow at steps among the words. Pure and portable.

A step is a word, and a number is how many of its distribution's steps are at or below its word. Steps are computed
exactly, in whole numbers: no processor's or library's rounding can move one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from .parameters import require, settle, spell

MAX_MEAN: Final = 1000.0
"""Of `poisson`: its steps are then computed in milliseconds, and only a few hundred of them are not at 0."""
GUARD_BITS: Final = 128
"""With these a step is beyond doubt, except once in 2^50 times; then it is computed again with twice as many."""
CELL_BITS: Final = 12
"""Words are looked up by this many leading bits: few of the 4096 cells contain a step."""
KEPT_TABLES: Final = 16
"""A process has one distribution, or a few, unless it tries many."""


@dataclass(frozen=True, slots=True)
class Bernoulli:
    """1 with probability `p`, rounded down to a multiple of 2^-64, else 0."""

    dtype: ClassVar[str] = "int64"
    p: float

    def __post_init__(self) -> None:
        settle(self, p=float(self.p))
        require(self.spelling, 0 <= self.p <= 1, "0 <= P <= 1")

    @property
    def spelling(self) -> str:
        return spell("bernoulli", self.p)

    @property
    def step(self) -> int:
        """The first word that makes a 1; 2^64: none does. The product is exact: it only changes the exponent."""
        return 2**64 - int(self.p * 2.0**64)

    def from_word(self, word: int) -> int:
        return int(word >= self.step)

    def from_words(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (words >= self.step).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Poisson:
    """How many events there are where `mean` are expected: each probability is exact to within 2^-64."""

    dtype: ClassVar[str] = "int64"
    mean: float

    def __post_init__(self) -> None:
        settle(self, mean=float(self.mean))
        require(self.spelling, 0 <= self.mean <= MAX_MEAN, f"0 <= LAMBDA <= {MAX_MEAN:g}")

    @property
    def spelling(self) -> str:
        return spell("poisson", self.mean)

    def from_word(self, word: int) -> int:
        return bisect_right(_table(self.mean).steps, word)

    def from_words(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        return _table(self.mean).count_steps(words)


class _Table:
    """Steps, and for each cell of words how many steps lie before it, and whether one lies within."""

    __slots__ = ("_array", "_before", "_has_step", "steps")

    def __init__(self, steps: tuple[int, ...]) -> None:
        self.steps = steps
        self._array = np.array(steps, np.uint64)
        firsts = np.arange(2**CELL_BITS, dtype=np.uint64)
        firsts <<= 64 - CELL_BITS
        self._before = self._search(firsts)
        self._has_step = self._before < self._search(firsts + (2 ** (64 - CELL_BITS) - 1))

    def count_steps(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """How many steps are at or below each of `words`, shape (n,)."""
        cells = (words >> (64 - CELL_BITS)).view(np.int64)
        counts: NDArray[np.int64] = self._before[cells]
        unsure = np.flatnonzero(self._has_step[cells])
        counts[unsure] = self._search(words[unsure])
        return counts

    def _search(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        return np.searchsorted(self._array, words, "right").astype(np.int64, copy=False)


@lru_cache(KEPT_TABLES)
def _table(mean: float) -> _Table:
    return _Table(poisson_steps(mean))


def poisson_steps(mean: float, bits: int = GUARD_BITS) -> tuple[int, ...]:
    """The steps of `poisson`: for each k, in order, floor(2^64 C(k) + 1/2), as long as that is below 2^64.

    C(k), the probability of k or fewer, is S(k) / S, where S(k) = 1 + mean + mean^2 / 2! + ... + mean^k / k!, and S is
    e^mean. The sums are kept in units of 2^-`bits`, each term rounded down. What term j loses by that, and the terms
    after it because of it, is at most e^mean units, because mean^i / ((j + 1) ... (j + i)) <= mean^i / i!. So n terms
    together lack less than n e^mean units, which is n 2^-`bits` of S. Where these bounds leave a step in doubt, all are
    computed with more bits. That ends because e^mean is irrational, except for mean 0, where nothing is lost.
    """
    sums = list(_partial_sums(mean, bits))
    least = sums[-1]
    lack = (2 * len(sums) * least >> bits) + 1
    lowest = _steps(sums, least + lack)
    highest = _steps((total + lack for total in sums), least)
    return lowest if lowest == highest else poisson_steps(mean, 2 * bits)


def _steps(parts: Iterable[int], whole: int) -> tuple[int, ...]:
    """2^64 part / whole, to the nearest whole number, of each of the rising `parts`, as long as that is below 2^64."""
    return tuple(takewhile(lambda step: step < 2**64, ((part << 65) // whole + 1 >> 1 for part in parts)))


def _partial_sums(mean: float, bits: int) -> Iterator[int]:
    """S(0), S(1), ... in units of 2^-`bits`, until a term is less than one."""
    numerator, denominator = mean.as_integer_ratio()  # the latter is a power of two
    shift = denominator.bit_length() - 1
    total = term = 1 << bits
    k = 0
    while term:
        yield total
        k += 1
        term = (term * numerator >> shift) // k
        total += term
