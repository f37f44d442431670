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
    "bits64",
    "uniform:-1:1",
    "exponential:3",
    "normal:10:2",
]
SINGLE = ["integers:5:5", "uniform:2:2", "exponential:0", "normal:1:0"]


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
