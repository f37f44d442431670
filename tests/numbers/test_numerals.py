"""Numerals: what a number is, and which, told line by line, block by block and in C alike."""

from __future__ import annotations

import math
import random
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from randstream import speedups
from randstream.errors import RemoteProtocolError
from randstream.numbers import numerals
from randstream.numbers.numerals import OddLineError, find_odd_line, parse_lines
from randstream.numbers.stream import NumberStream
from randstream.numbers.text import to_lines
from randstream.protocol.decoder import count_lines

GRAMMARS = {True: re.compile(r"-?\d+", re.ASCII), False: re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?", re.ASCII)}


def is_line_of_the_wire(line: bytes) -> bool:
    try:
        return count_lines(line, 0, len(line)) == 1
    except RemoteProtocolError:
        return False


@pytest.mark.parametrize("is_whole", [True, False])
def test_every_short_line_of_the_wire_is_judged_by_the_grammar_alone_or_among_others(is_whole: bool) -> None:
    for size in range(1, 6):
        for letters in product("1.e+-", repeat=size):
            text = "".join(letters)
            line = f"{text}\n".encode()
            if is_line_of_the_wire(line):
                is_odd = GRAMMARS[is_whole].fullmatch(text) is None
                assert (find_odd_line(line, is_whole=is_whole) is not None) == is_odd, text
                assert find_odd_line(b"-7\n12\n" + line + b"3\n", is_whole=is_whole) == (6 if is_odd else None), text


def test_long_lines_of_chance_are_judged_by_the_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerals, "_BLOCK_BYTES", 100)
    dice = random.Random(1)
    for _ in range(3_000):
        texts = ["".join(dice.choices("0123456789.e+-", [9] * 10 + [2] * 4, k=dice.randrange(1, 20))) for _ in range(9)]
        texts = [text for text in texts if is_line_of_the_wire(f"{text}\n".encode())]
        lines = "".join(f"{text}\n" for text in texts).encode()
        for is_whole, grammar in GRAMMARS.items():
            wrong = [text for text in texts if not grammar.fullmatch(text)]
            expected = sum(len(text) + 1 for text in texts[: texts.index(wrong[0])]) if wrong else None
            assert find_odd_line(lines, is_whole=is_whole) == expected


@pytest.mark.parametrize(
    "numbers",
    ["integers:-50:50", "bits64", "bernoulli:0.5", "poisson:3", "uniform:-1e-9:1e-4", "exponential:1e17", "normal:0:1"],
)
def test_all_numbers_of_all_streams_are_numbers(numbers: str) -> None:
    stream = NumberStream("42", "worker-0", numbers)
    is_whole = stream.distribution.dtype != "float64"
    assert find_odd_line(stream.lines(0, 50_000), is_whole=is_whole) is None


DTYPES = ("int64", "uint64", "float64")
WAYS = pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "not compiled"], indirect=True)


@pytest.fixture
def is_compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the speed-ups are used."""
    if request.param and not speedups.ARE_COMPILED:
        pytest.skip("there was no C compiler when this was installed")
    monkeypatch.setattr(speedups, "ARE_COMPILED", request.param)
    return bool(request.param)


def judge(text: str, dtype: str) -> int | float | None:
    """What `int` or `float` make of a line; None: it is no number of `dtype`."""
    if not GRAMMARS[dtype != "float64"].fullmatch(text):
        return None
    if dtype == "float64":
        return float(text) if math.isfinite(float(text)) else None
    info = np.iinfo(dtype)
    return int(text) if info.min <= int(text) <= info.max else None


def parsed(text: str, dtype: str) -> int | float | None:
    """The same of `parse_lines`, the line being between others."""
    lines = f"7\n{text}\n12345678\n".encode()
    try:
        numbers = parse_lines(lines, 3, dtype)
    except OddLineError as error:
        _require_named(error, text)
        return None
    assert numbers.dtype == dtype
    assert (numbers[0], numbers[2]) == (7, 12345678)
    number: int | float = numbers[1].item()
    return number


def _require_named(error: OddLineError, text: str) -> None:
    assert (error.index, error.position) == (1, 2)
    assert repr(text) in str(error)


def are_equal(left: float | None, right: float | None) -> bool:
    """Of zeros, the signs too."""
    return left == right and repr(left) == repr(right)


EDGES = [
    "0", "-0", "00", "007", "-007", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "18446744073709551615", "18446744073709551616", "-1", "9" * 63, "0" * 62 + "5",
    "0.0", "-0.0", "1.7976931348623157e+308", "1.7976931348623159e+308", "1e+309", "-1e+9999", "1e+99999", "5e-324",
    "2e-324", "3e-324", "2.2250738585072014e-308", "2.2250738585072011e-308", "2.225073858507201e-308", "1e-400",
    "1e-342", "1e-99999999999999999999", "0e+99999", "9007199254740993", "9007199254740993.0", "9007199254740992.9",
    "9007199254740995.0", "0.1000000000000000055511151231257827021181583404541015625", "1.5e-7", "1e5", "1E+5", "1.e+5",
    ".5", "+5", "1.5.5", "1-2", "--1", "-", "1e+", "1e+5.0", "1_000", "inf", "nan", "0x10", "1e+22", "1e+23", "8.5e+22",
    "123456789012345678", "12345678.12345678", "1234567.1234567e-7", "18446744073709551615e+10", "1e-27",
]  # fmt: skip


@WAYS
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_line_is_what_python_makes_of_it_or_no_number(dtype: str, is_compiled: bool) -> None:
    for text in EDGES:
        assert are_equal(parsed(text, dtype), judge(text, dtype)), text


@WAYS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.floats(allow_nan=False, allow_infinity=False))
@example(number=5e-324)
@example(number=2.2250738585072014e-308)
@example(number=1.7976931348623157e308)
def test_every_float_comes_back_from_its_spelling(number: float, is_compiled: bool) -> None:
    text = to_lines([number]).decode().rstrip("\n")
    assert are_equal(parsed(text, "float64"), number)


DIGITS = st.integers(0, 10**19) | st.integers(2**53, 2**55) | st.integers(0, 2**70)


@WAYS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=DIGITS, point=st.integers(0, 30), power=st.integers(-360, 330), sign=st.sampled_from(["", "-"]))
def test_floats_of_any_spelling_are_rounded_as_python_rounds(
    whole: int, point: int, power: int, sign: str, is_compiled: bool
) -> None:
    digits = str(whole).zfill(point + 1)
    places = f".{digits[-point:]}" if point else ""
    text = f"{sign}{digits[: len(digits) - point]}{places}e{power:+d}"
    assert are_equal(parsed(text, "float64"), judge(text, "float64"))


@WAYS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mantissa=st.integers(2**52, 2**53 - 1), power=st.integers(-1074, 10), nudge=st.sampled_from([-1, 0, 1]))
def test_numbers_half_way_between_two_floats_go_to_the_even_one(
    mantissa: int, power: int, nudge: int, is_compiled: bool
) -> None:
    half = (2 * mantissa + 1) * 2**60 + nudge
    shift = power - 61
    text = str(half << shift) if shift >= 0 else f"{half * 5**-shift}e-{-shift}"
    if len(text) < 64:
        assert are_equal(parsed(text, "float64"), judge(text, "float64"))


@WAYS
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(-(2**65), 2**65))
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_every_integer_comes_back_or_is_beyond_its_type(dtype: str, number: int, is_compiled: bool) -> None:
    assert parsed(str(number), dtype) == judge(str(number), dtype)


@WAYS
@pytest.mark.parametrize(
    "numbers", ["integers:-50:50", "bits64", "uniform:-1e-9:1e-4", "exponential:1e-310", "normal:0:1"]
)
def test_all_numbers_of_all_streams_come_back(numbers: str, is_compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerals, "_BLOCK_BYTES", 1000)
    stream = NumberStream("42", "worker-0", numbers)
    for count in (0, 1, 2, 5_000):
        found = parse_lines(stream.lines(7, count), count, stream.distribution.dtype)
        assert found.dtype == stream.distribution.dtype
        assert np.array_equal(found, stream.read(7, count))


@WAYS
def test_many_odd_spellings_among_others_are_read_and_the_first_that_is_no_number_is_named(
    is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numerals, "_BLOCK_BYTES", 100)
    texts = ["007", "5", "0." + "1" * 40, "-0", "12.5"] * 20
    lines = "".join(f"{text}\n" for text in texts).encode()
    assert parse_lines(lines, 100, "float64").tolist() == [float(text) for text in texts]
    with pytest.raises(OddLineError, match="'1-2'") as caught:
        parse_lines(lines + b"1-2\n3-4\n", 102, "float64")
    assert (caught.value.index, caught.value.position) == (100, len(lines))


def test_lines_that_are_fewer_than_counted_are_a_bug_and_raise() -> None:
    with pytest.raises(ValueError, match="not found"):
        parse_lines(b"1\n", 2, "int64")
