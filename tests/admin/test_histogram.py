"""Histogram: bins, and the probability of each."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from randstream.admin.histogram import MOST_BINS, shape_of
from randstream.admin.observer import count_in
from randstream.numbers.distributions import parse_distribution
from randstream.numbers.stream import NumberStream

SPREAD = [
    "integers:1:100",
    "integers:1:6",
    "integers:-7:1000003",
    "integers:0:4294967296",
    "integers:-9223372036854775808:9223372036854775807",
    "bits64",
    "bernoulli:0.25",
    "poisson:0.5",
    "poisson:30",
    "poisson:1000",
    "uniform:-1:1",
    "exponential:3",
    "normal:10:2",
]
SINGLE = [
    *(
        "integers:5:5",
        "integers:9223372036854775800:9223372036854775807",
        "integers:-9223372036854775808:-9223372036854000000",
    ),
    *("bernoulli:0", "bernoulli:1", "poisson:0", "uniform:2:2", "exponential:0", "normal:1:0"),
]


@pytest.mark.parametrize("distribution", SPREAD + SINGLE)
def test_the_probabilities_of_all_bins_add_up_to_one(distribution: str) -> None:
    shape = shape_of(parse_distribution(distribution))
    assert sum(shape.expected) == pytest.approx(1)
    assert len(shape.edges) == len(shape.expected) + 1 <= MOST_BINS + 1
    assert all(low <= high for low, high in pairwise(shape.edges))


@pytest.mark.parametrize("distribution", SPREAD)
def test_the_shares_of_real_numbers_match_the_expected_probabilities(distribution: str) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    shape = shape_of(stream.distribution)
    count = 100_000
    counts = count_in(shape, stream.read(0, count))
    assert counts.sum() == count
    assert stats.chisquare(counts, np.array(shape.expected) * count).pvalue > 1e-4


@pytest.mark.parametrize("distribution", SINGLE)
def test_a_distribution_of_one_value_has_one_bin(distribution: str) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    shape = shape_of(stream.distribution)
    assert shape.expected == (1.0,)
    assert count_in(shape, stream.read(0, 9)).tolist() == [9]


@pytest.mark.parametrize(("distribution", "bins"), [("integers:1:100", 25), ("integers:1:6", 6), ("integers:1:64", 32)])
def test_bins_of_integers_hold_equally_many_values(distribution: str, bins: int) -> None:
    assert shape_of(parse_distribution(distribution)).expected == (1 / bins,) * bins


@pytest.mark.parametrize(
    ("distribution", "edges"),
    [
        ("bernoulli:0.25", [0, 1, 2]),
        ("bernoulli:5e-324", [0, 1, 2]),
        ("poisson:5e-324", [0, 1, 2]),
        ("poisson:1e-9", [0, 1, 2]),
        ("poisson:0.5", [0, 1, 2, 3, 4]),
        ("poisson:30", [*range(10, 53, 2)]),
        ("poisson:1000", [*range(889, 1114, 7)]),
    ],
)
def test_bins_of_counts_begin_at_whole_numbers_and_are_equally_wide(distribution: str, edges: list[int]) -> None:
    assert shape_of(parse_distribution(distribution)).edges == tuple(edges)


@pytest.mark.parametrize("mean", [1e-9, 0.5, 30.0, 999.5])
def test_bins_of_poisson_have_the_probabilities_of_its_law(mean: float) -> None:
    shape = shape_of(parse_distribution(f"poisson:{mean}"))
    below = [0.0, *stats.poisson(mean).cdf(np.array(shape.edges[1:-1]) - 1), 1.0]
    assert shape.expected == pytest.approx(np.diff(below), rel=1e-9)
