"""Float lines: the compiled code finds the fewest digits of every float64, and spells them as orjson does."""

from __future__ import annotations

import ctypes
import math
import sys
from fractions import Fraction

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from randstream import speedups
from randstream.numbers.text import LONGEST_LINE_BYTES

pytestmark = pytest.mark.skipif(not speedups.ARE_COMPILED, reason="there was no C compiler when this was installed")

Floats = NDArray[np.float64]

EXPONENTS = range(-1074, 972)
"""q of the float64 numbers c * 2^q."""
POWERS = range(-342, 325)
"""Exponents of the powers of ten in `powers.c`."""


def spelled(numbers: Floats) -> list[bytes]:
    """The lines, after a check that nothing was written outside the room."""
    space = np.full(len(numbers) * LONGEST_LINE_BYTES + 2, ord("~"), np.uint8)
    size = speedups.put_float_lines(numbers, space[1:-1])
    assert space[0] == space[-1] == ord("~")
    return space[1 : 1 + size].tobytes().splitlines(keepends=True)


def spelled_by_orjson(numbers: Floats) -> list[bytes]:
    return [b"%s\n" % text for text in orjson.dumps(numbers.tolist())[1:-1].split(b",") if text]


def and_neighbours(numbers: list[float]) -> Floats:
    """Each, what is next to it on both sides, and all of that negated; finite."""
    array = np.array(numbers)
    array = np.concatenate([array, np.nextafter(array, 0), np.nextafter(array, np.finfo(float).max)])
    return np.concatenate([array, -array])


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=600))
def test_any_float_is_spelled_as_orjson_spells_it(numbers: list[float]) -> None:
    assert spelled(np.array(numbers)) == spelled_by_orjson(np.array(numbers))


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(and_neighbours([2.0**n for n in range(-1074, 1024)]), id="powers of two"),
        pytest.param(and_neighbours([float(f"{d}e{n}") for n in range(-323, 308) for d in range(1, 10)]), id="of ten"),
        pytest.param(np.arange(20_000) * 5e-324, id="the smallest"),
        pytest.param(np.array([0.0, -0.0, np.finfo(float).max, -np.finfo(float).max]), id="zeros and the greatest"),
        pytest.param(2.0**50 + np.arange(4000) / 4, id="in the middle between two of 17 digits"),
        pytest.param(2.0**49 + np.arange(4000) / 8, id="in the middle between two of 17 digits, once in four"),
        pytest.param(9e15 + np.arange(20_000.0), id="whole numbers where they begin to be even"),
        pytest.param(np.arange(20_000) * 1e-9, id="where the exponent begins"),
        pytest.param(1e16 + np.arange(-2000, 20_000) * 4.0, id="where the other exponent begins"),
        pytest.param(np.array([2.0**q * 5.0**n for n in range(23) for q in range(80)]), id="ends of a reader's range"),
    ],
)
def test_edges_are_spelled_as_orjson_spells_them(numbers: Floats) -> None:
    assert spelled(numbers) == spelled_by_orjson(numbers)


def test_any_bits_are_spelled_as_orjson_spells_them() -> None:
    numbers = np.random.Generator(np.random.PCG64(42)).integers(0, 2**64, 50_000, np.uint64).view(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    assert spelled(numbers) == spelled_by_orjson(numbers)


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1000])
def test_the_longest_lines_fill_a_room_of_exactly_their_size(count: int) -> None:
    assert spelled(np.full(count, -2.2250738585072014e-308)) == [b"-2.2250738585072014e-308\n"] * count


@pytest.mark.parametrize("missing", [1, LONGEST_LINE_BYTES, 10 * LONGEST_LINE_BYTES])
def test_a_room_too_small_is_refused_and_left_alone(missing: int) -> None:
    room = np.full(10 * LONGEST_LINE_BYTES - missing, ord("~"), np.uint8)
    with pytest.raises(ValueError, match=f"no room for 10 numbers in {len(room)} bytes"):
        speedups.put_float_lines(np.zeros(10), room)
    assert not np.any(room != ord("~"))


# The proof


def power_of_ten(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


def test_powers_of_ten_are_rounded_down_to_128_bits() -> None:
    table = (ctypes.c_ubyte * (16 * len(POWERS))).in_dll(ctypes.CDLL(speedups.LIBRARY), "powers")
    made = [int.from_bytes(bytes(table[16 * i : 16 * i + 16]), sys.byteorder) for i in range(len(POWERS))]
    for power, exponent in zip(made, POWERS, strict=True):
        bits = exponent * 217706 >> 16
        assert 2**127 <= power < 2**128
        assert power == power_of_ten(exponent) * Fraction(2) ** (127 - bits) // 1


def least_remainder(a: int, b: int, m: int, count: int) -> int:
    """The least of (a x + b) mod m for 0 <= x < count, by Euclid's algorithm."""
    a, b = a % m, b % m
    last = a * (count - 1) + b
    if last < m:
        return b
    if 2 * a > m:
        return least_remainder(-a, last, m, count)  # the same from the last to the first
    return min(b, least_remainder(-m, b - m, a, last // m))  # after each multiple of m the first


def least_distance(first: Fraction, step: Fraction, count: int) -> Fraction:
    """How near `first + x * step` comes to a whole number for 0 <= x < count, but for those that are one."""
    m = math.lcm(first.denominator, step.denominator)
    b, a = int(first * m), int(step * m)
    if m < 2**60:
        return Fraction(1, m)
    return Fraction(min(least_remainder(a, b, m, count), least_remainder(-a, -b, m, count)), m)


def test_least_remainder_is_the_least() -> None:
    for m in range(1, 30):
        for a in range(m):
            for count in (1, 2, 7, 40):
                assert least_remainder(a, 5, m, count) == min((a * x + 5) % m for x in range(count))


@pytest.mark.slow
def test_no_float_is_so_near_to_a_limit_that_128_bits_could_not_tell() -> None:
    for q in EXPONENTS:
        k = q * 315653 >> 20
        assert power_of_ten(k) <= Fraction(2) ** q < power_of_ten(k + 1)
        least = 1 if q == -1074 else 2**52
        count = 2**53 - least
        half = Fraction(2) ** (q - 1) / power_of_ten(k + 1)
        ends = least_distance((2 * least - 1) * half, 2 * half, count + 1)  # of what is read as c * 2^q
        assert ends.numerator > 0
        assert ends > Fraction(1, 2**63)  # of 10^(k+1); `fraction` has 64 bits
        middles = least_distance(least * 20 * half - Fraction(1, 2), 20 * half, count)
        assert middles.numerator > 0
        assert middles > Fraction(1, 2**65)  # of 10^k; `quotient`, times ten, has 70 bits
