"""Counts: each word makes the count that the definition gives, reckoned in another way."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from docs.vectors import reckon
from hypothesis import example, given
from hypothesis import strategies as st
from tests.numbers.words import EDGE_WORDS, drawn

from randstream.numbers import counts
from randstream.numbers.counts import Bernoulli, Poisson, poisson_steps
from randstream.numbers.distributions import LAST_WORD

MEANS = [0.0, 5e-324, 1e-30, 2.0**-65, 2.0**-64, 1e-9, 0.5, 1.0, 30.0, 999.9, 1000.0]


# Bernoulli


@given(st.floats(0, 1))
@example(0.0)
@example(5e-324)
@example(2.0**-64)
@example(1.5 * 2.0**-64)
@example(0.5)
@example(1 - 2.0**-53)
@example(1.0)
def test_as_many_words_make_a_1_as_p_says_rounded_down(p: float) -> None:
    ones = floor(Fraction(p) * 2**64)
    distribution = Bernoulli(p)
    near = [word for word in (0, LAST_WORD - ones, 2**64 - ones, LAST_WORD) if 0 <= word <= LAST_WORD]
    expected = [int(word >= 2**64 - ones) for word in near]
    assert [distribution.from_word(word) for word in near] == expected
    assert distribution.from_words(np.array(near, np.uint64)).tolist() == expected


@pytest.mark.parametrize(("p", "only"), [(0.0, 0), (5e-324, 0), (1.0, 1)])
def test_no_word_contradicts_a_p_of_0_or_1(p: float, only: int) -> None:
    numbers = Bernoulli(p).from_words(np.array([*EDGE_WORDS, *drawn(1000)], np.uint64))
    assert set(numbers.tolist()) == {only}


# Poisson


@pytest.mark.parametrize("mean", MEANS)
def test_steps_are_those_of_the_definition_in_decimal_fractions(mean: float) -> None:
    assert list(poisson_steps(mean)) == reckon.poisson_steps(mean)


@given(st.floats(0, 100))
def test_steps_of_any_mean_are_those_of_the_definition(mean: float) -> None:
    assert list(poisson_steps(mean)) == reckon.poisson_steps(mean)


@pytest.mark.parametrize("mean", MEANS)
def test_steps_in_doubt_are_reckoned_anew_with_more_bits(mean: float) -> None:
    assert poisson_steps(mean, bits=60) == poisson_steps(mean) == poisson_steps(mean, bits=512)


@pytest.mark.parametrize("mean", MEANS)
def test_a_number_is_how_many_steps_are_at_or_below_its_word(mean: float) -> None:
    steps = poisson_steps(mean)
    chosen = [0, LAST_WORD, *drawn(500), *(step - side for step in steps if step for side in (0, 1))]
    expected = [sum(step <= word for step in steps) for word in chosen]
    assert [Poisson(mean).from_word(word) for word in chosen] == expected
    numbers = Poisson(mean).from_words(np.array(chosen, np.uint64))
    assert numbers.dtype == np.int64
    assert numbers.tolist() == expected


def test_the_outermost_numbers_are_those_that_the_page_names() -> None:
    assert Poisson(1000.0).from_word(0) == 725
    assert Poisson(1000.0).from_word(LAST_WORD) == 1303
    assert Poisson(0.0).from_word(LAST_WORD) == 0


def test_a_distribution_that_is_only_named_costs_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker looks at the name of what any peer offers it."""
    monkeypatch.setattr(counts, "poisson_steps", pytest.fail)
    assert Poisson(987.654).spelling == "poisson:987.654"


def test_a_table_is_made_once() -> None:
    counts._table.cache_clear()
    for _ in range(3):
        Poisson(3.0).from_word(7)
        Poisson(3.0).from_words(np.array([7], np.uint64))
    assert counts._table.cache_info().misses == 1
