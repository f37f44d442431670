"""Parameters: what is read, how it is spelled, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from randstream.errors import SettingsError
from randstream.numbers.distributions import Uniform
from randstream.numbers.parameters import read_float, read_integer, require, settle, spell


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_spelled_float_reads_back_exactly(number: float) -> None:
    kind, text = spell("kind", number).split(":")
    assert kind == "kind"
    assert read_float(text) == number


@given(st.integers(-(10**40) + 1, 10**40 - 1))
def test_an_integer_is_read_whatever_its_sign_and_zeros_in_front(number: int) -> None:
    assert read_integer(f"{number}") == read_integer(f"{number:+}") == number
    assert read_integer("-0") == 0


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_0", " 1", "1 ", "0x1", "1e", "١", "1,5", "--1"])
@pytest.mark.parametrize("read", [read_float, read_integer])
def test_what_is_no_number_is_refused_with_an_example(read: object, text: str) -> None:
    assert callable(read)
    with pytest.raises(SettingsError, match="write it like"):
        read(text)


def test_parameters_of_a_frozen_distribution_are_settled_without_a_minus_zero() -> None:
    made = Uniform(0.0, 1.0)
    settle(made, low=-0.0, high=2.0)
    assert spell("uniform", made.low, made.high) == "uniform:0.0:2.0"


def test_what_a_distribution_needs_is_told_with_its_spelling() -> None:
    require("kind:1.0", holds=True, needs="A > 0")
    with pytest.raises(SettingsError, match=r"^kind:0\.0 is impossible: it needs A > 0$"):
        require("kind:0.0", holds=False, needs="A > 0")
