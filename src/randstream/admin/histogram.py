"""Shape: how a distribution spreads over the bins of a histogram, by its formula and not by numbers. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, erf, exp, floor, lgamma, log, sqrt
from typing import Final

from ..numbers.counts import Bernoulli, Poisson
from ..numbers.distributions import Bits64, Distribution, Exponential, Integers, Normal, Uniform

MOST_BINS: Final = 32
FEWEST_BINS: Final = 8
USUAL_BINS: Final = 25
"""Enough to see a shape, few enough for a phone."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Bins and their probabilities. The outer bins also stand for what lies beyond them."""

    edges: tuple[float, ...]
    expected: tuple[float, ...]


def shape_of(distribution: Distribution) -> Shape:
    """The shape of `distribution`; one bin if it has one value only."""
    match distribution:
        case Integers(low, high) if low < high and _are_told_apart(low, high):
            return _integers(low, high - low + 1)
        case Bits64():
            return _even(0.0, 2.0**64, MOST_BINS)
        case Bernoulli(p) if 0 < p < 1:
            return Shape((0.0, 1.0, 2.0), (1 - p, p))
        case Poisson(mean) if mean > 0:
            return _poisson(mean)
        case Uniform(low, high) if low < high:
            return _even(low, high, USUAL_BINS)
        case Exponential(scale) if scale > 0:
            return _smooth(0.0, 5 * scale, lambda x: 1 - exp(-x / scale))
        case Normal(mean, sd) if sd > 0:
            return _smooth(mean - 3.5 * sd, mean + 3.5 * sd, lambda x: (1 + erf((x - mean) / sd / sqrt(2))) / 2)
    only = float(distribution.from_word(0))
    return Shape((only, only), (1.0,))


def _are_told_apart(low: int, high: int) -> bool:
    """Whether float64, in which numbers are counted, has enough values from `low` to `high` for all bins."""
    return max(-low, high) <= 2**53 or high - low >= 2**30


def _integers(low: int, span: int) -> Shape:
    """Bins with equally many values where possible: an uneven comb would look like a fault."""
    even = [bins for bins in range(FEWEST_BINS, MOST_BINS + 1) if span % bins == 0]
    bins = span if span < FEWEST_BINS else max(even, default=min(span, USUAL_BINS))
    edges = [span * number // bins for number in range(bins + 1)]
    expected = tuple((after - before) / span for before, after in pairwise(edges))
    return Shape(tuple(float(low + edge) for edge in edges), expected)


def _poisson(mean: float) -> Shape:
    """Bins around the mean with equally many values, to avoid an uneven comb."""
    reach = 3.5 * sqrt(mean)
    low, end = max(0, floor(mean - reach)), ceil(mean + reach) + 1
    width = ceil((end - low) / MOST_BINS)
    edges = range(low, low + width * ceil((end - low) / width) + 1, width)
    below = list(accumulate((exp(k * log(mean) - mean - lgamma(k + 1)) for k in range(edges[-1])), initial=0.0))
    return _between(tuple(map(float, edges)), [below[edge] for edge in edges[1:-1]])


def _even(low: float, high: float, bins: int) -> Shape:
    return Shape(_edges(low, high, bins), (1 / bins,) * bins)


def _smooth(low: float, high: float, cumulative: Callable[[float], float]) -> Shape:
    edges = _edges(low, high, USUAL_BINS)
    return _between(edges, [cumulative(edge) for edge in edges[1:-1]])


def _between(edges: tuple[float, ...], below: list[float]) -> Shape:
    """`below`: the probability below each edge but the outer ones."""
    return Shape(edges, tuple(after - before for before, after in pairwise([0.0, *below, 1.0])))


def _edges(low: float, high: float, bins: int) -> tuple[float, ...]:
    return tuple(low + (high - low) * (number / bins) for number in range(bins + 1))
