"""A logarithm and an inverse normal that give the same bits on every processor. Pure.

The last bit of libm's functions differs between processors and versions. So only `+ - * /`, `sqrt` and
`frexp` may touch a number here, each of which IEEE 754 rounds in one way only, and each as its own
operator or NumPy call, so no compiler can fuse two of them. The same lines serve a Python float and a
float64 array: for an array, `+=` and `*=` work in place.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Real = TypeVar("Real", float, Floats)
Coefficients = tuple[float, ...]
"""Of a polynomial, highest power first; two at least."""

SQRT_HALF: Final = math.sqrt(0.5)

LN2_HIGH: Final = float.fromhex("0x1.62e42feep-1")
"""The leading 32 bits of ln 2, so that its product with any exponent is exact."""
LN2_LOW: Final = float.fromhex("0x1.a39ef35793c76p-33")
"""ln 2 - LN2_HIGH, rounded."""

ARTANH: Final[Coefficients] = (*(2.0 / n for n in range(21, 1, -2)), 0.0)
"""In s^2, the series 2/3 s^2 + 2/5 s^4 + ... of 2 artanh(s) / s - 2. For s^2 < 0.0295 (see `log`) the terms
left out are below 2^-60 of the logarithm."""

# The rational functions of AS 241 (see `inverse_normal`): numerator and denominator.
# fmt: off
CENTRE: Final[tuple[Coefficients, Coefficients]] = (
    (
        2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
        13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080,
    ),
    (
        5226.4952788528545610, 28729.085735721942674, 39307.895800092710610, 21213.794301586595867,
        5394.1960214247511077, 687.18700749205790830, 42.313330701600911252, 1.0,
    ),
)
TAIL: Final[tuple[Coefficients, Coefficients]] = (
    (
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
        3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1.0,
    ),
)
FAR_TAIL: Final[tuple[Coefficients, Coefficients]] = (
    (
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
        2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720,
    ),
    (
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
    ),
)
# fmt: on


def log(x: Real) -> Real:
    """Natural logarithm of a positive, finite `x` of any shape, to less than one unit in the last place.

    With x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2) and s = f / (2 + f), log(1 + f) is 2 artanh(s), taken
    as f - (f^2/2 - s (f^2/2 + R)) with R = 2 artanh(s) / s - 2, because f is exact.
    Source: this arrangement is FDLIBM's, e_log.c; R is its plain series.
    """
    mantissa, k = _frexp(x)
    small = mantissa < SQRT_HALF
    f = mantissa * (1.0 + small) - 1.0
    k = k - 1.0 * small
    s = f / (f + 2.0)
    half_square = f * 0.5 * f
    correction = _polynomial(ARTANH, s * s)
    correction += half_square
    correction *= s
    correction += k * LN2_LOW
    result: Real = k * LN2_HIGH - ((half_square - correction) - f)
    return result


def inverse_normal(p: float) -> float:
    """The standard normal number with probability `p` below it, 0 < p < 1, to a relative error below 2^-50.

    Source: M. J. Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37 (1988), 477-484.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        return _centre(q)
    r = math.sqrt(-log(min(p, 1.0 - p)))
    distance = _tail(TAIL, r - 1.6) if r <= 5.0 else _tail(FAR_TAIL, r - 5.0)
    return math.copysign(distance, q)


def inverse_normals(p: Floats) -> Floats:
    """`inverse_normal` of each element of `p`, shape (n,), bit for bit."""
    q = p - 0.5
    numbers = _centre(q)
    tail = np.flatnonzero(np.abs(q) > 0.425)
    p, q = p[tail], q[tail]
    r = np.sqrt(-log(np.minimum(p, 1.0 - p)))
    distance = _tail(TAIL, r - 1.6)
    far = np.flatnonzero(r > 5.0)
    distance[far] = _tail(FAR_TAIL, r[far] - 5.0)
    numbers[tail] = np.copysign(distance, q)
    return numbers


def _centre(q: Real) -> Real:
    r = 0.180625 - q * q
    return q * _polynomial(CENTRE[0], r) / _polynomial(CENTRE[1], r)


def _tail(rational: tuple[Coefficients, Coefficients], r: Real) -> Real:
    return _polynomial(rational[0], r) / _polynomial(rational[1], r)


def _polynomial(coefficients: Coefficients, x: Real) -> Real:
    """By Horner's rule."""
    first, *rest, last = coefficients
    total = first * x
    for coefficient in rest:
        total += coefficient
        total *= x
    total += last
    return total


def _frexp(x: Any) -> Any:
    return math.frexp(x) if isinstance(x, float) else np.frexp(x)
