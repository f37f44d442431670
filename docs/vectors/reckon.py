"""An independent reckoning of `docs/protocol.md`: plain Python, nothing of randstream, constants read from the page.

It is slow and it is short. The vectors are made with it, and a test compares them with what randstream itself does: so
neither can confirm itself, and implementers of the page can see here how little it takes.
"""

from __future__ import annotations

import math
import re
from decimal import Context, Decimal
from fractions import Fraction
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[1] / "protocol.md"
_TEXT: Final = PAGE.read_text(encoding="utf-8")
_PHILOX: Final = _TEXT.partition("\n### Philox\n")[2].partition("\n### ")[0]
_ARITHMETIC: Final = _TEXT.partition("\n### The arithmetic\n")[2].partition("\n## ")[0]

MULTIPLIERS_AND_STEPS: Final = [int(text, 16) for text in re.findall(r"0x[0-9A-F]{16}", _PHILOX)]
SQRT_HALF, LN2_LOW, LN2_HIGH = (float.fromhex(text) for text in re.findall(r"0x1\.[0-9a-f]+p-[0-9]+", _ARITHMETIC))
_ROWS: Final = re.findall(r"^\| ([0-7]) \|(.*)\|$", _ARITHMETIC, re.MULTILINE)
COEFFICIENTS: Final = {
    letter: [float(row.split("|")[column]) for _, row in _ROWS] for column, letter in enumerate("abcdef")
}
M64: Final = 2**64 - 1


def identity(seed: str, worker: str, numbers: str) -> tuple[tuple[int, int], str]:
    """The key of a stream, and its `stream=`. `numbers` in its canonical spelling."""
    text = f"randstream-numbers/1\n{seed}\n{worker}\n{numbers}\n"
    digest = blake2b(text.encode(), digest_size=24).digest()
    return (int.from_bytes(digest[0:8], "little"), int.from_bytes(digest[8:16], "little")), digest[16:24].hex()


def word(key: tuple[int, int], n: int) -> int:
    """Word `n`."""
    multiplier0, multiplier2, step0, step1 = MULTIPLIERS_AND_STEPS
    x0, x1, x2, x3 = n // 4 + 1, 0, 0, 0
    k0, k1 = key
    for _ in range(10):
        product0, product2 = x0 * multiplier0, x2 * multiplier2
        x0, x1, x2, x3 = (product2 >> 64) ^ x1 ^ k0, product2 & M64, (product0 >> 64) ^ x3 ^ k1, product0 & M64
        k0, k1 = (k0 + step0) & M64, (k1 + step1) & M64
    return (x0, x1, x2, x3)[n % 4]


def log(x: float) -> float:
    """The page's logarithm."""
    m, k = math.frexp(x)
    if m < SQRT_HALF:
        m, k = m * 2, k - 1
    f = m - 1
    s = f / (f + 2)
    z = s * s
    h = (f * 0.5) * f
    r = 2 / 21 * z
    for n in (19, 17, 15, 13, 11, 9, 7, 5, 3):
        r = (r + 2 / n) * z
    c = ((r + h) * s) + (k * LN2_LOW)
    return (k * LN2_HIGH) - ((h - c) - f)


def _polynomial(letter: str, r: float) -> float:
    *rest, total = COEFFICIENTS[letter]
    for coefficient in reversed(rest):
        total = total * r + coefficient
    return total


def inverse_normal(p: float) -> float:
    """AS 241, PPND16."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - (q * q)
        return (q * _polynomial("a", r)) / _polynomial("b", r)
    r = math.sqrt(-log(min(p, 1 - p)))
    if r <= 5:
        distance = _polynomial("c", r - 1.6) / _polynomial("d", r - 1.6)
    else:
        distance = _polynomial("e", r - 5) / _polynomial("f", r - 5)
    return math.copysign(distance, q)


@cache
def poisson_steps(mean: float) -> list[int]:
    """The page's steps, but of its definition: by decimal fractions of 150 digits, and the exponential of Python."""
    exact = Context(prec=150)
    probability = exact.exp(-Decimal(mean))
    below, k, steps = Decimal(0), 0, []
    while (step := math.floor(exact.fma(2**64, below := exact.add(below, probability), Decimal("0.5")))) < 2**64:
        steps.append(step)
        k += 1
        probability = exact.divide(exact.multiply(probability, Decimal(mean)), k)
    return steps


def number(numbers: str, word: int) -> str:
    """The text of the number that a stream of `numbers` makes from `word`."""
    kind, *texts = numbers.split(":")
    if kind == "bits64":
        return str(word)
    if kind == "integers":
        low, high = map(int, texts)
        return str(low + word * (high - low + 1) // 2**64)
    parameters = [float(text) for text in texts]
    if kind == "bernoulli":
        return str(int(word >= 2**64 - math.floor(Fraction(parameters[0]) * 2**64)))
    if kind == "poisson":
        return str(sum(step <= word for step in poisson_steps(parameters[0])))
    if kind == "uniform":
        low_end, high_end = parameters
        return float_text(low_end + ((high_end - low_end) * ((word >> 11) * 2.0**-53)))
    u = ((word >> 12) + 0.5) * 2.0**-52
    if kind == "exponential":
        return float_text(parameters[0] * -log(1 - u))
    assert kind == "normal"
    return float_text(parameters[0] + (parameters[1] * inverse_normal(u)))


def branch(numbers: str, word: int) -> str:
    """Which way through the arithmetic `word` takes."""
    kind = numbers.partition(":")[0]
    u = ((word >> 12) + 0.5) * 2.0**-52
    if kind == "exponential":
        return f"log, {_half(1 - u)}"
    if kind == "normal":
        if abs(u - 0.5) <= 0.425:
            return "centre"
        p = min(u, 1 - u)
        return f"{'tail' if math.sqrt(-log(p)) <= 5 else 'far tail'}, {_half(p)}"
    return kind


def _half(x: float) -> str:
    return "m below sqrt(1/2)" if math.frexp(x)[0] < SQRT_HALF else "m from sqrt(1/2) on"


def float_text(x: float) -> str:
    """`x` with the fewest digits that read back exactly. Python's `repr` finds the digits; the form is the page's."""
    sign = "-" if math.copysign(1, x) < 0 else ""
    mantissa, _, exponent = repr(abs(x)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(digits) - len(fraction) + int(exponent or 0)
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0.0"
    if 1e-5 <= abs(x) < 1e16:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        digits = digits.ljust(point + 1, "0")
        return f"{sign}{digits[:point]}.{digits[point:]}"
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def crc32c(data: bytes) -> str:
    """The CRC-32C (Castagnoli; reflected, 0x82F63B78) of `data`, as the wire writes it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return f"{crc ^ 0xFFFFFFFF:08x}"


def rank(worker: str, producer: str) -> str:
    """How much `worker` wants to be served by `producer`, as 16 hexadecimal digits."""
    return blake2b(f"randstream-rank/1\n{worker}\n{producer}\n".encode(), digest_size=8).hexdigest()
