"""Quantiles of durations, from a few counts."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from randstream.observe.durations import STEPS, Durations


def observed(seconds: list[float]) -> Durations:
    durations = Durations()
    for each in seconds:
        durations.observe(each)
    return durations


@given(st.lists(st.floats(1e-9, 1e6), min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_right_to_one_bucket(seconds: list[float], share: float) -> None:
    durations = observed(seconds)
    exact = sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)]
    assert exact <= durations.quantile(share) <= exact * (1 + 1 / STEPS)


def test_the_ends_are_exact() -> None:
    durations = observed([0.0031, 0.25, 0.7])
    assert (durations.shortest, durations.longest, durations.count) == (0.0031, 0.7, 3)
    assert durations.quantile(1) == 0.7


def test_nothing_that_lasts_no_time_is_in_the_way() -> None:
    assert observed([0.0]).quantile(0.5) == 0.0


def test_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="no duration"):
        Durations().quantile(0.5)


def test_a_million_take_no_more_memory_than_a_thousand() -> None:
    random = Random(1)
    durations = observed([random.lognormvariate(-7, 1) for _ in range(20_000)])
    assert len(durations._counts) < 16 * STEPS
