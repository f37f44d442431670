"""Distributions: how they are written, and the number that each makes of a word, against exact references."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.numbers.words import EDGE_WORDS, drawn

from randstream.errors import SettingsError
from randstream.numbers.counts import Bernoulli, Poisson
from randstream.numbers.distributions import (
    LAST_WORD,
    Distribution,
    Exponential,
    Integers,
    Normal,
    Uniform,
    is_canonical,
    parse_distribution,
)

words = st.integers(0, LAST_WORD)
small_floats = st.floats(-1e300, 1e300, allow_subnormal=True)

EVERY_KIND = [
    "integers:1:100",
    "integers:-2147483648:2147483647",
    "integers:9223372036854775800:9223372036854775807",
    "integers:0:4294967296",
    "integers:-4611686018427387904:4611686018427387903",
    "integers:-9223372036854775808:9223372036854775806",
    "integers:-9223372036854775808:9223372036854775807",
    "bits64",
    "bernoulli:0.3",
    "poisson:0.7",
    "poisson:1000",
    "uniform:-3:7.5",
    "exponential:2.5",
    "normal:-1:0.1",
]


# Text


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("integers:+1:0100", "integers:1:100"),
        ("integers:-0:007", "integers:0:7"),
        ("integers:5:5", "integers:5:5"),
        ("integers:-9223372036854775808:-9223372036854775808",) * 2,
        ("integers:0:4294967295",) * 2,
        ("integers:0:4294967296",) * 2,
        ("integers:-9223372036854775808:9223372036854775807",) * 2,
        ("bits64",) * 2,
        ("bernoulli:0", "bernoulli:0.0"),
        ("bernoulli:-0.0", "bernoulli:0.0"),
        ("bernoulli:1", "bernoulli:1.0"),
        ("bernoulli:5e-324",) * 2,
        ("bernoulli:+.5", "bernoulli:0.5"),
        ("poisson:-0", "poisson:0.0"),
        ("poisson:1e-9",) * 2,
        ("poisson:1e3", "poisson:1000.0"),
        ("poisson:030", "poisson:30.0"),
        ("uniform:0:1", "uniform:0.0:1.0"),
        ("uniform:-0.0:.5", "uniform:0.0:0.5"),
        ("uniform:+1e-5:1E16", "uniform:0.00001:1e+16"),
        ("uniform:-8.9e307:8.9e307", "uniform:-8.9e+307:8.9e+307"),
        ("exponential:00.00000015", "exponential:1.5e-7"),
        ("exponential:-0", "exponential:0.0"),
        ("normal:100.:1e-400", "normal:100.0:0.0"),
    ],
)
def test_every_spelling_of_a_distribution_has_one_canonical_form(text: str, spelling: str) -> None:
    assert parse_distribution(text).spelling == spelling
    assert parse_distribution(spelling) == parse_distribution(text)
    assert is_canonical(spelling)
    assert is_canonical(text) == (text == spelling)


@pytest.mark.parametrize(
    "text",
    [
        "", "bits64:", "bits64:1", "bits32", "Bits64", "bits64 ", "integers:1", "integers:1:100:1",
        "integers:1.0:100.0", "integers:2:1", "integers:1:9223372036854775808",
        "bernoulli:1", "bernoulli:1.5", "bernoulli:0.50", "poisson:3", "poisson:1e3", "poisson:1000.1",
        "uniform:0.0:1.00", "uniform:1.0:0.0", "uniform:0.0:1e16", "uniform:0.0:1.0e+16",
        "uniform:-0.0:1.0", "normal:0.0:-1.0", "normal:0.0:1e+400",
        "exponential:0.000001", "exponential:1e-06", "dice:6",
    ],
)  # fmt: skip
def test_numbers_checked_refuses_what_is_no_distribution_or_is_spelled_in_another_way(text: str) -> None:
    assert not is_canonical(text)


@given(
    st.from_regex(
        r"(integers|bits64|bernoulli|poisson|uniform|exponential|normal|[a-z0-9]+)(:[0-9.e+-]+){0,3}", fullmatch=True
    )
)
def test_numbers_checked_answers_for_every_text_that_the_wire_lets_through(text: str) -> None:
    assert is_canonical(text) in (True, False)


@given(small_floats, st.floats(0, 1e300))
def test_a_canonical_spelling_reads_back_as_the_same_distribution(mean: float, sd: float) -> None:
    distribution = parse_distribution(f"normal:{mean!r}:{sd!r}")
    assert parse_distribution(distribution.spelling) == distribution


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "use integers:LOW:HIGH"),
        ("gamma:1", "use integers:LOW:HIGH"),
        ("Bits64", "use integers:LOW:HIGH"),
        ("bits64:1", "use integers:LOW:HIGH"),
        ("integers:1", "use integers:LOW:HIGH"),
        ("uniform:1:2:3", "use integers:LOW:HIGH"),
        ("integers:1.0:2", "'1.0' is not a whole number"),
        ("integers:1: 2", "' 2' is not a whole number"),
        ("integers:1_0:20", "'1_0' is not a whole number"),
        ("integers:١:20", "is not a whole number"),
        ("integers:2:1", "needs -2^63 <= LOW <= HIGH"),
        ("integers:0:9223372036854775808", "HIGH <= 2^63-1"),
        ("integers:-9223372036854775809:0", "-2^63 <= LOW"),
        ("integers:" + "9" * 5000 + ":1", "is not a whole number"),
        ("bernoulli", "bernoulli:P, poisson:LAMBDA, uniform:LOW:HIGH"),
        ("bernoulli:1.1", "needs 0 <= P <= 1"),
        ("bernoulli:-5e-324", "needs 0 <= P <= 1"),
        ("bernoulli:nan", "'nan' is not a number"),
        ("bernoulli:50%", "'50%' is not a number"),
        ("poisson:", "'' is not a number"),
        ("poisson:nan", "'nan' is not a number"),
        ("poisson:-1", "needs 0 <= LAMBDA <= 1000"),
        ("poisson:1000.1", "poisson:1000.1 is impossible: it needs 0 <= LAMBDA <= 1000"),
        ("poisson:1e308", "needs 0 <= LAMBDA <= 1000"),
        ("poisson:1:2", "use integers:LOW:HIGH"),
        ("uniform:0:inf", "'inf' is not a number"),
        ("uniform:nan:1", "'nan' is not a number"),
        ("uniform:0:", "'' is not a number"),
        ("uniform:0:1\n", "is not a number"),
        ("uniform:0:1e309", "beyond the largest float64"),
        ("uniform:1:0", "needs LOW <= HIGH"),
        ("uniform:-1e308:1e308", "exceeds the largest float64"),
        ("exponential:-1", "needs SCALE >= 0"),
        ("exponential:1e308", "exceeds the largest float64"),
        ("normal:0:-1e-9", "needs SD >= 0"),
        ("normal:1.7e308:1e307", "exceeds the largest float64"),
    ],
)
def test_what_cannot_be_a_distribution_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_distribution(text)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


# Numbers


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Integers(np.int8(-100), np.int8(100)), "integers:-100:100"),  # type: ignore[arg-type] # any kind
        (Integers(np.uint8(0), np.uint8(255)), "integers:0:255"),  # type: ignore[arg-type] # any kind
        (Bernoulli(np.float32(0.5)), "bernoulli:0.5"),  # type: ignore[arg-type] # any kind
        (Bernoulli(-0.0), "bernoulli:0.0"),
        (Poisson(np.uint8(200)), "poisson:200.0"),  # type: ignore[arg-type] # any kind
        (Uniform(0, np.float32(0.5)), "uniform:0.0:0.5"),  # type: ignore[arg-type] # any kind
        (Uniform(-0.0, 1), "uniform:0.0:1.0"),
        (Exponential(Fraction(1, 2)), "exponential:0.5"),  # type: ignore[arg-type] # any kind
        (Bernoulli(Fraction(1, 2)), "bernoulli:0.5"),  # type: ignore[arg-type] # any kind
        (Poisson(np.uint8(250)), "poisson:250.0"),  # type: ignore[arg-type] # any kind
        (Normal(np.int16(100), np.float64(15)), "normal:100.0:15.0"),  # type: ignore[arg-type] # any kind
    ],
    ids=str,
)
def test_a_distribution_made_of_numbers_is_that_of_its_text(made: Distribution, text: str) -> None:
    parsed = parse_distribution(text)
    assert (made, made.spelling) == (parsed, text)
    some = np.array(EDGE_WORDS, np.uint64)
    assert np.array_equal(made.from_words(some.copy()), parsed.from_words(some.copy()))
    assert [made.from_word(word) for word in EDGE_WORDS] == [parsed.from_word(word) for word in EDGE_WORDS]


@pytest.mark.parametrize("text", EVERY_KIND)
def test_one_word_and_many_words_make_the_same_numbers(text: str) -> None:
    distribution = parse_distribution(text)
    chosen = [*EDGE_WORDS, *drawn(5000)]
    numbers = distribution.from_words(np.array(chosen, np.uint64))
    assert numbers.dtype == distribution.dtype
    assert numbers.tolist() == [distribution.from_word(word) for word in chosen]


@pytest.mark.parametrize("text", EVERY_KIND)
def test_making_numbers_leaves_the_words_alone(text: str) -> None:
    chosen = np.array(EDGE_WORDS, np.uint64)
    chosen.flags.writeable = False  # a write would raise
    assert len(parse_distribution(text).from_words(chosen)) == len(EDGE_WORDS)
    assert chosen.tolist() == EDGE_WORDS


@pytest.mark.parametrize("text", EVERY_KIND)
def test_numbers_never_fall_as_words_rise(text: str) -> None:
    chosen = np.sort(np.array([*EDGE_WORDS, *drawn(20_000)], np.uint64))
    numbers = parse_distribution(text).from_words(chosen)
    assert np.all(numbers[1:] >= numbers[:-1])


spans = st.integers(0, 64).flatmap(lambda bits: st.integers(1, 2**bits))


@given(st.integers(-(2**63), 2**63 - 1), spans, st.lists(words, min_size=1, max_size=20))
@example(-(2**63), 2**32, [LAST_WORD, LAST_WORD - 1, 2**32 - 1, 2**32, 0])
@example(0, 2**32 - 1, [LAST_WORD, LAST_WORD - 1, 2**32 - 1, 2**32, 0])
@example(-1, 2**32 + 1, [LAST_WORD, LAST_WORD - 1, 2**32 - 1, 2**32, 0])
@example(-1, 2**63, [LAST_WORD, LAST_WORD - 1, 2**63, 2**63 - 1, 2**32, 0])
@example(-(2**63), 2**64 - 1, [LAST_WORD, LAST_WORD - 1, 2**63, 2**63 - 1, 2**32, 0])
@example(-(2**63), 2**64, [LAST_WORD, LAST_WORD - 1, 2**63, 2**63 - 1, 2**32, 0])
def test_integers_are_the_exact_floor_of_word_times_span(low: int, span: int, chosen: list[int]) -> None:
    low = min(low, 2**63 - span)
    numbers = Integers(low, low + span - 1).from_words(np.array(chosen, np.uint64))
    assert numbers.tolist() == [low + word * span // 2**64 for word in chosen]


@pytest.mark.parametrize("span", [1, 2, 3, 7, 100, 2**16 + 1, 2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**63])
def test_integers_step_at_exactly_the_right_word(span: int) -> None:
    steps = [-(-k * 2**64 // span) for k in range(1, span, max(1, span // 500))]
    distribution = Integers(0, span - 1)
    below = distribution.from_words(np.array([step - 1 for step in steps], np.uint64))
    above = distribution.from_words(np.array(steps, np.uint64))
    assert np.all(above - below == 1)


@given(small_floats, small_floats, words)
def test_uniform_rounds_once_an_operation_and_stays_between_its_ends(a: float, b: float, word: int) -> None:
    low, high = sorted((a + 0.0, b + 0.0))
    width = float(Fraction(high) - Fraction(low))
    part = float(Fraction(width) * Fraction(word >> 11, 2**53))
    number = Uniform(low, high).from_word(word)
    assert number == float(Fraction(low) + Fraction(part))
    assert low <= number <= high


@pytest.mark.parametrize(
    "text", ["uniform:0:0", "uniform:-1:1", "uniform:-0.0:-0.0", "exponential:0", "normal:0:0", "normal:-0:0"]
)
def test_no_number_is_minus_zero(text: str) -> None:
    numbers = parse_distribution(text).from_words(np.array([*EDGE_WORDS, *drawn(100)], np.uint64))
    assert not np.any(np.signbit(numbers) & (numbers == 0))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("exponential:1", 2.0**-53, 53 * math.log(2)),
        ("normal:0:1", -8.2095361516013869, 8.2095361516013869),
        ("uniform:0:1", 0.0, 1 - 2.0**-53),
    ],
)
def test_the_outermost_numbers_are_those_of_the_outermost_words(text: str, first: float, last: float) -> None:
    distribution: Distribution = parse_distribution(text)
    assert distribution.from_word(0) == pytest.approx(first, rel=1e-15)
    assert distribution.from_word(LAST_WORD) == pytest.approx(last, rel=1e-15)
