"""The portable arithmetic, against 120-bit references."""

from __future__ import annotations

import math

import mpmath
import numpy as np
from tests.numbers.words import EDGE_WORDS, drawn

from randstream.numbers.portable import inverse_normal, inverse_normals, log


def probability(word: int) -> float:
    return ((word >> 12) + 0.5) * 2.0**-52


PROBABILITIES = sorted({probability(word) for word in [*EDGE_WORDS, *drawn(1500)]})


POSITIVES = [
    *PROBABILITIES,
    *(1.0 + sign * 2.0**-k for k in range(1, 53) for sign in (1, -1)),
    *(math.ldexp(p, k) for k, p in zip(range(-1073, 1024, 3), PROBABILITIES[::2], strict=False)),
    *(math.nextafter(math.sqrt(0.5), to) for to in (0, 1)),
    *np.linspace(0.7, 1.42, 2000).tolist(),
    5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
]


def test_log_is_within_one_unit_in_the_last_place() -> None:
    with mpmath.workprec(120):
        for x in filter(None, POSITIVES):
            found, true = log(x), mpmath.log(x)
            assert abs(found - true) <= 0.85 * math.ulp(true), x


def test_log_of_one_is_zero() -> None:
    assert log(1.0) == 0.0


def test_log_of_an_array_is_that_of_its_elements() -> None:
    positives = [x for x in POSITIVES if x]
    assert log(np.array(positives)).tolist() == [log(x) for x in positives]


def test_inverse_normal_has_a_relative_error_below_two_to_the_minus_fifty() -> None:
    with mpmath.workprec(120):
        for p in PROBABILITIES:
            z = mpmath.mpf(inverse_normal(p))
            tail = mpmath.mpf(min(p, 1 - p))
            newton_step = (tail - mpmath.ncdf(-abs(z))) / mpmath.npdf(z)
            assert abs(newton_step) <= 2**-50 * abs(z), p


def test_inverse_normal_is_odd_about_one_half() -> None:
    for p in PROBABILITIES:
        assert inverse_normal(1 - p) == -inverse_normal(p)


def test_inverse_normals_of_an_array_are_those_of_its_elements() -> None:
    found = inverse_normals(np.array(PROBABILITIES))
    assert found.tolist() == [inverse_normal(p) for p in PROBABILITIES]
