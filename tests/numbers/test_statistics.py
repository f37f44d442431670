"""Statistics of the numbers, at fixed seeds: each result is a constant of the algorithm, so none can flake.

A fair stream fails a test at p < 1e-3 once in a thousand seeds; the seed here was not searched for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from randstream.numbers.stream import NumberStream

SEED = "statistics"
COUNT = 100_000
FIRM = 1e-3
"""The p-value below which a shape counts as wrong."""


def numbers(distribution: str, worker: str = "worker-0", offset: int = 0, count: int = COUNT) -> NDArray[Any]:
    return NumberStream(SEED, worker, distribution).read(offset, count)


def correlations(rows: NDArray[Any]) -> NDArray[Any]:
    """Of every row with every other, in standard errors: standard normal if the rows are independent."""
    matrix = np.corrcoef(rows)
    return matrix[np.triu_indices_from(matrix, 1)] * np.sqrt(rows.shape[1])


@pytest.mark.parametrize(
    ("distribution", "law"),
    [
        ("uniform:0:1", stats.uniform()),
        ("uniform:-5:3", stats.uniform(-5, 8)),
        ("exponential:1", stats.expon()),
        ("exponential:0.01", stats.expon(scale=0.01)),
        ("normal:0:1", stats.norm()),
        ("normal:100:15", stats.norm(100, 15)),
    ],
)
@pytest.mark.parametrize("offset", [0, 2**40 + 1])
def test_real_numbers_have_the_shape_of_their_law(distribution: str, law: Any, offset: int) -> None:
    assert stats.kstest(numbers(distribution, offset=offset), law.cdf).pvalue > FIRM


@pytest.mark.parametrize("distribution", ["exponential:1", "normal:0:1"])
def test_tails_have_as_many_numbers_as_their_law(distribution: str) -> None:
    law = {"exponential:1": stats.expon, "normal:0:1": stats.norm}[distribution]
    found = numbers(distribution, count=1_000_000)
    for probability in (1e-2, 1e-3, 1e-4, 1e-5):
        above = int(np.count_nonzero(found > law.isf(probability)))
        assert stats.binomtest(above, len(found), probability).pvalue > FIRM


@pytest.mark.parametrize(
    ("low", "high"), [(1, 100), (0, 1), (-3, 3), (0, 65535), (2**63 - 10, 2**63 - 1), (-(2**63), 1 - 2**63)]
)
def test_integers_take_each_value_equally_often(low: int, high: int) -> None:
    found = numbers(f"integers:{low}:{high}", count=1_000_000)
    assert found.min() == low
    assert found.max() == high
    assert stats.chisquare(np.bincount(found - low, minlength=high - low + 1)).pvalue > FIRM


@pytest.mark.parametrize(
    ("low", "high"), [(-(2**31), 2**31 - 1), (0, 2**32), (-(10**15), 10**18), (-(2**63), 2**63 - 1)]
)
def test_integers_of_wide_spans_are_even(low: int, high: int) -> None:
    found = numbers(f"integers:{low}:{high}")
    assert stats.kstest((found - float(low) + 0.5) / (high - low + 1), stats.uniform().cdf).pvalue > FIRM


@pytest.mark.parametrize("p", [1e-4, 0.1, 0.5, 0.999])
def test_bernoulli_gives_1_as_often_as_its_p(p: float) -> None:
    found = numbers(f"bernoulli:{p}", count=1_000_000)
    assert stats.binomtest(int(found.sum()), len(found), p).pvalue > FIRM


@pytest.mark.parametrize("mean", [1e-4, 0.5, 3, 30, 250.25, 1000])
def test_poisson_has_the_probabilities_of_its_law(mean: float) -> None:
    found = numbers(f"poisson:{mean}", count=1_000_000)
    law = stats.poisson(mean)
    low, high = int(law.ppf(1e-5)), int(law.isf(1e-5))
    expected = [law.cdf(low), *law.pmf(range(low + 1, high)), law.sf(high - 1)]
    counts = np.bincount(np.clip(found, low, high) - low, minlength=len(expected))
    assert stats.chisquare(counts, np.array(expected) * len(found)).pvalue > FIRM


def test_each_bit_is_set_half_of_the_time_and_independent_of_every_other() -> None:
    words = numbers("bits64")
    bits = (words[:, None] >> np.arange(64, dtype=np.uint64) & 1).T
    ones = np.count_nonzero(bits, axis=1)
    excess = (ones - COUNT / 2) / np.sqrt(COUNT / 4)
    assert stats.kstest(excess, stats.norm.cdf).pvalue > FIRM
    assert stats.kstest(correlations(bits), stats.norm.cdf).pvalue > FIRM


@pytest.mark.parametrize(
    "distribution", ["integers:1:100", "bernoulli:0.3", "poisson:3", "uniform:0:1", "exponential:1", "normal:0:1"]
)
def test_numbers_of_one_stream_are_serially_independent(distribution: str) -> None:
    found = numbers(distribution)
    lags = [1, 2, 3, 4, 5, 7, 8, 16, 64, 1000]
    found = (found - found.mean()) / found.std()
    serial = np.array([found[lag:] @ found[:-lag] / np.sqrt(COUNT - lag) for lag in lags])
    assert np.all(np.abs(serial) < stats.norm.isf(FIRM / 2 / len(lags)))


def test_pairs_of_successive_numbers_fill_the_square_evenly() -> None:
    found = numbers("integers:0:31", count=1_000_000)
    assert stats.chisquare(np.bincount(found[::2] * 32 + found[1::2], minlength=1024)).pvalue > FIRM


@pytest.mark.parametrize("distribution", ["integers:1:100", "normal:0:1"])
def test_workers_of_neighbouring_names_are_independent(distribution: str) -> None:
    rows = np.array([numbers(distribution, f"worker-{i}", count=10_000) for i in range(100)])
    found = correlations(rows)
    assert stats.kstest(found, stats.norm.cdf).pvalue > FIRM
    assert np.max(np.abs(found)) < stats.norm.isf(FIRM / 2 / len(found))


def test_a_worker_is_independent_of_its_neighbour_shifted_by_a_few_numbers() -> None:
    first = numbers("uniform:0:1", "worker-0", offset=0)
    rows = np.array([first, *(numbers("uniform:0:1", "worker-1", offset=shift) for shift in range(16))])
    found = np.corrcoef(rows)[0, 1:] * np.sqrt(COUNT)
    assert np.all(np.abs(found) < stats.norm.isf(FIRM / 2 / len(found)))


def test_neighbouring_seeds_and_distributions_are_independent() -> None:
    rows = np.array(
        [
            NumberStream(str(seed), "worker-0", f"integers:0:{high}").read(0, 10_000)
            for seed in range(20)
            for high in (99, 100)
        ]
    )
    assert stats.kstest(correlations(rows), stats.norm.cdf).pvalue > FIRM


def test_no_word_comes_twice_among_the_first_of_neighbouring_workers() -> None:
    words = np.concatenate([numbers("bits64", f"worker-{i}", count=1000) for i in range(300)])
    assert len(np.unique(words)) == len(words)
