"""RoundTrips: quantiles of what was counted, within what a bucket spans."""

from __future__ import annotations

from random import Random

import pytest

from randstream.observe.round_trips import BUCKETS_A_DOUBLING, RoundTrips


def test_without_any_there_is_no_quantile() -> None:
    assert RoundTrips().quantile(0.5) is None


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99, 1.0])
def test_one_is_every_quantile(part: float) -> None:
    trips = RoundTrips()
    trips.observe(0.00123)
    assert trips.quantile(part) == trips.shortest == trips.longest == 0.00123


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_quantile_is_within_a_bucket_above_the_exact_one(part: float) -> None:
    random, trips = Random(7), RoundTrips()
    measured = sorted(random.lognormvariate(-7, 1.5) for _ in range(5000))
    for seconds in measured:
        trips.observe(seconds)
    exact = measured[int(part * len(measured)) - 1]
    found = trips.quantile(part)
    assert found is not None
    assert exact <= found <= exact * 2 ** (1 / BUCKETS_A_DOUBLING) * 1.001
    assert (trips.count, trips.shortest, trips.longest) == (5000, measured[0], measured[-1])


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e-6, 3600.0, 1e9])
def test_no_duration_is_too_short_or_too_long(seconds: float) -> None:
    trips = RoundTrips()
    trips.observe(seconds)
    assert trips.quantile(0.5) == seconds
