"""Text: numbers are spelled as the specification says, and CSV has each line behind its offset."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from randstream.numbers.distributions import parse_distribution
from randstream.numbers.stream import NumberStream
from randstream.numbers.text import LONGEST_LINE_BYTES, longest_line_bytes, to_csv, to_lines

pytestmark = pytest.mark.usefixtures("speedups_or_not")


def spelled(x: float) -> str:
    """The specification's text of a float, made from Python's."""
    mantissa, _, exponent = repr(x).partition("e")
    if not exponent:
        return mantissa
    if exponent == "-05":
        sign = "-" if x < 0 else ""
        return f"{sign}0.0000{mantissa.lstrip('-').replace('.', '')}"
    return f"{mantissa}e{int(exponent):+d}"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
@example([1e-5, 9.999999999999999e-6, 0.0001, 1e16, 9999999999999998.0, 1.5e-7, 5e-324, 1e22, 1e23] * 2)
def test_floats_are_spelled_as_the_specification_says(numbers: list[float]) -> None:
    expected = "".join(f"{spelled(x)}\n" for x in numbers).encode()
    assert to_lines(numbers) == expected
    assert to_lines(np.array(numbers)) == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40))
def test_integers_are_spelled_in_decimal(numbers: list[int]) -> None:
    expected = "".join(f"{x}\n" for x in numbers).encode()
    assert to_lines(list(numbers)) == expected
    assert to_lines(np.array(numbers, np.int64)) == expected


@pytest.mark.parametrize("nothing", [[], np.empty(0), np.empty(0, np.int64)])
def test_no_numbers_are_no_lines(nothing: Any) -> None:
    assert to_lines(nothing) == b""


def test_the_longest_line_is_of_a_float() -> None:
    lines = to_lines(np.array([-2.2250738585072014e-308, -1.7976931348623157e308]))
    assert max(map(len, lines.splitlines(keepends=True))) == LONGEST_LINE_BYTES


@pytest.mark.parametrize(
    ("numbers", "longest"),
    [
        ("integers:1:100", 4), ("integers:-1000:5", 6), ("integers:0:0", 2), ("bits64", 21), ("bernoulli:0.5", 2),
        ("poisson:4", 3), ("uniform:0:1", LONGEST_LINE_BYTES), ("normal:0:1", LONGEST_LINE_BYTES),
    ],
)  # fmt: skip
def test_no_line_of_a_distribution_is_longer_than_is_said(numbers: str, longest: int) -> None:
    assert longest_line_bytes(parse_distribution(numbers)) == longest
    lines = NumberStream("1", "w", numbers).lines(0, 5000).splitlines(keepends=True)
    assert longest - 5 <= max(map(len, lines)) <= longest


@pytest.mark.parametrize("numbers", ["integers:1:100", "bits64", "bernoulli:0.5", "normal:0:1"])
def test_a_view_keeps_at_most_twice_the_memory_of_its_lines(numbers: str) -> None:
    view = NumberStream("1", "w", numbers).view(0, 5000)
    if isinstance(view, memoryview):
        assert 2 * len(view) >= 5000 * LONGEST_LINE_BYTES


@given(
    texts=st.lists(st.text("0123456789.e+-", min_size=1, max_size=64), max_size=40),
    offset=st.integers(0, 2**63 - 50) | st.integers(1, 18).map(lambda digits: 10**digits - 5),
)
@example(texts=[], offset=0)
@example(texts=["1"] * 12, offset=0)
@example(texts=["1234567", "12345678", "123456789"] * 4, offset=2**63 - 13)
def test_csv_is_each_line_behind_its_offset(texts: list[str], offset: int) -> None:
    lines = "".join(f"{text}\n" for text in texts).encode()
    expected = "".join(f"{offset + n},{text}\n" for n, text in enumerate(texts)).encode()
    assert to_csv(lines, offset, len(texts)) == expected
    assert to_csv(memoryview(lines), offset, len(texts)) == expected
