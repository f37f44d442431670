"""Pacing: the token bucket, at every rate and however floats round."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from randstream.producer.pacing import DEPTH_SECONDS, HIGHEST_RATE, Pacer

rates = st.floats(min_value=5e-324, max_value=1.7e308) | st.floats(0.01, 1e6)
moments = st.floats(0, 1e9)


def numbers_by(pacer: Pacer, now: float) -> int:
    """Take all that is due at `now`."""
    count = pacer.due(now)
    pacer.take(count)
    return count


@given(rate=rates, start=moments)
def test_the_bucket_is_empty_at_the_start(rate: float, start: float) -> None:
    pacer = Pacer(rate, start)
    assert pacer.due(start) == 0 or start + 1 / min(rate, HIGHEST_RATE) == start
    assert pacer.due(start - 1) == 0


@given(
    rate=rates, start=moments, waits=st.lists(st.floats(0, 1e4), max_size=20), shares=st.randoms(use_true_random=False)
)
def test_next_due_and_due_agree_for_all_floats(rate: float, start: float, waits: list[float], shares: Random) -> None:
    pacer, now = Pacer(rate, start), start
    for wait in waits:
        now += wait
        due = pacer.due(now)
        assert (due > 0) == (now >= pacer.next_due())
        assert pacer.due(now) == due
        pacer.take(shares.randint(0, due))
        if (when := pacer.next_due()) < math.inf:
            assert pacer.due(when) >= 1
            assert pacer.due(math.nextafter(when, -math.inf)) == 0


@given(rate=st.floats(0.001, 1e6), start=moments, age=st.floats(0, 1e7))
def test_a_stall_is_made_good_up_to_one_second_and_at_least_one_number(rate: float, start: float, age: float) -> None:
    pacer = Pacer(rate, start)
    depth = max(1, math.floor(rate * DEPTH_SECONDS))
    due = pacer.due(start + age)
    assert due <= depth
    elapsed = Fraction(start + age) - Fraction(start)
    assert due >= min(depth, math.floor(elapsed * Fraction(rate)) - 1)


def test_after_a_long_stall_the_rate_goes_on_without_a_flood() -> None:
    pacer = Pacer(10, 0.0)
    assert numbers_by(pacer, 3600.0) == 10
    assert numbers_by(pacer, 3600.0) == 0
    assert [numbers_by(pacer, 3600.0 + tenth / 10 + 0.01) for tenth in range(1, 21)] == [1] * 20


def test_a_short_stall_is_caught_up_wholly() -> None:
    pacer = Pacer(10, 0.0)
    assert [numbers_by(pacer, now) for now in (0.15, 0.95, 1.05)] == [1, 8, 1]


def test_a_rate_below_one_saves_up_one_number_and_no_more() -> None:
    pacer = Pacer(0.25, 0.0)
    assert [numbers_by(pacer, now) for now in (3.99, 4.0, 7.9, 8.0, 100.0, 103.9, 104.0)] == [0, 1, 0, 1, 1, 0, 1]


@pytest.mark.parametrize("rate", [0.3, 1.5, 7.7, 10.0, 333.3, 12345.678])
def test_the_long_run_rate_is_exact_however_it_is_asked(rate: float) -> None:
    pacer, sent, now, step = Pacer(rate, 100.0), 0, 100.0, 0.0
    while now < 5000.0:
        step = (step + 0.0617) % 0.3
        now += 0.005 + step
        sent += numbers_by(pacer, now)
    assert sent == pytest.approx((now - 100.0) * rate, abs=1)


@given(rate=st.floats(0.01, 1e4), count=st.integers(1, 200))
def test_numbers_asked_for_when_due_come_one_by_one(rate: float, count: int) -> None:
    pacer = Pacer(rate, 1e6)
    for _ in range(count):
        assert numbers_by(pacer, pacer.next_due()) == 1
    assert pacer.next_due() == pytest.approx(1e6 + (count + 1) / rate)


def test_what_is_not_taken_stays_due() -> None:
    pacer = Pacer(10, 0.0)
    assert pacer.due(0.55) == 5
    pacer.take(2)
    assert pacer.due(0.55) == 3
    assert pacer.next_due() <= 0.55


@pytest.mark.parametrize(
    ("rate", "start", "now"),
    [(1 / 3, 11629.902619104016, 31078.902619104014), (0.7, 1101.234555080932, 3344.091697938075)],
)
def test_after_a_long_stall_a_number_is_due_at_once_at_awkward_floats_too(
    rate: float, start: float, now: float
) -> None:
    pacer = Pacer(rate, start)
    assert [pacer.due(now), pacer.due(now)] == [1, 1]
    assert pacer.next_due() <= now
