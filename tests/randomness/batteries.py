"""Batteries: scipy's tests of each distribution, ent, and dieharder. Each test gives p-values by name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import numpy as np
from scipy import stats
from tests.randomness.generators import Generator
from tests.randomness.verdict import PValues

from randstream.numbers.distributions import parse_distribution

SCIPY_COUNT: Final = 10_000_000
ENT_COUNT: Final = 2**23
"""Words: 64 MiB."""
LAWS: Final[dict[str, Any]] = {
    "uniform:0:1": stats.uniform(),
    "exponential:1": stats.expon(),
    "normal:0:1": stats.norm(),
}
COUNTS: Final[dict[str, Any]] = {
    "bernoulli:0.3": stats.bernoulli(0.3),
    "poisson:3": stats.poisson(3),
    "poisson:1000": stats.poisson(1000),
}
ANY_INTEGER: Final = f"integers:{-(2**63)}:{2**63 - 1}"
DISTRIBUTIONS: Final = (*LAWS, *COUNTS, "integers:1:100", ANY_INTEGER, "bits64")
DIEHARDER: Final = (0, 8, 15, 100, 101, 10, 11, 206, 1, 3, 9, 16, 13, 17, 209, 102, 2)
"""Numbers of its tests, the quick ones first. Without those that `dieharder -l` calls suspect or not to be used."""
LOW_BITS: Final = np.uint64(2**16 - 1)
_ROW: Final = re.compile(r"^ *(\w+)\| *(\d+)\| *\d+\| *\d+\|([0-9.]+)\|", re.MULTILINE)
_FEED_COUNT: Final = 2**16


class OutOfTime(Exception):
    """The test would have taken longer than there was time."""


Run = Callable[[Generator, int, float], PValues]
"""Takes a generator, the offset of its first word, and the time by which to be done. Raises OutOfTime."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One test of a battery, which is the program of that name, or scipy."""

    battery: str
    name: str
    run: Run


def all_trials() -> Iterator[Trial]:
    """Every test, in the order in which they are run."""
    for distribution in DISTRIBUTIONS:
        yield Trial("scipy", distribution, scipy_test(distribution))
    yield Trial("ent", "-t", ent)
    for number in DIEHARDER:
        yield Trial("dieharder", f"-d {number}", dieharder_test(number))


def scipy_test(distribution: str, count: int = SCIPY_COUNT) -> Run:
    """Whether the numbers that the words make have the shape of their law, each value or 16 bits as often as others."""

    def run(generator: Generator, offset: int, end: float) -> PValues:
        if monotonic() > end:
            raise OutOfTime
        numbers = parse_distribution(distribution).from_words(generator(offset, count))
        if distribution in ("bits64", ANY_INTEGER):
            bits = numbers.view(np.uint64)
            return {
                f"bits {low} to {low + 15}": _evenness(bits >> np.uint64(low) & LOW_BITS, 65536)
                for low in (0, 16, 32, 48)
            }
        if distribution in LAWS:
            return {"Kolmogorov-Smirnov": stats.kstest(numbers, LAWS[distribution].cdf).pvalue}
        if distribution in COUNTS:
            return {"chi-square": fit(numbers, COUNTS[distribution])}
        low, high = (int(bound) for bound in distribution.split(":")[1:])
        return {"chi-square": _evenness(numbers - low, high - low + 1)}

    return run


def _evenness(values: Any, count: int) -> float:
    return float(stats.chisquare(np.bincount(values, minlength=count)).pvalue)


def fit(counts: Any, law: Any) -> float:
    """Each value as often as `law` says; those beyond one in 2^10 at either end are taken together."""
    least, most = int(law.ppf(2**-10)), int(law.isf(2**-10))
    found = np.bincount(np.clip(counts, least, most) - least, minlength=most - least + 1)
    below = law.cdf(np.arange(least, most))
    return float(stats.chisquare(found, len(counts) * np.diff(below, prepend=0, append=1)).pvalue)


def ent(generator: Generator, offset: int, end: float) -> PValues:
    """Of the statistics that ent prints, each with the law that it has for random bytes."""
    out = _fed(["ent", "-t"], generator, offset, end, ENT_COUNT)
    _, count, _, chi_square, mean, pi, correlation = (float(each) for each in out.splitlines()[1].split(","))
    inside = np.pi / 4
    scores = {
        "mean": (mean - 127.5) / np.sqrt((256**2 - 1) / 12 / count),
        "Monte Carlo pi": (pi - np.pi) / (4 * np.sqrt(inside * (1 - inside) / (count // 6))),
        "serial correlation": correlation * np.sqrt(count),
    }
    return {
        "chi-square": float(stats.chi2.sf(chi_square, 255)),
        **{name: float(stats.norm.sf(score)) for name, score in scores.items()},
    }


def dieharder_test(number: int) -> Run:
    """Test `number` of dieharder."""

    def run(generator: Generator, offset: int, end: float) -> PValues:
        out = _fed(["dieharder", "-g", "200", "-d", str(number)], generator, offset, end)
        rows = _ROW.findall(out)
        assert rows, out
        return {f"{name} {ntuple} ({index})": float(p) for index, (name, ntuple, p) in enumerate(rows)}

    return run


def _fed(command: list[str], generator: Generator, offset: int, end: float, count: int | None = None) -> str:
    """What `command` prints of the words from `offset` on: as many as it reads, or `count`. Raises OutOfTime."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        position = offset
        try:
            while count is None or position < offset + count:
                process.stdin.write(generator(position, _FEED_COUNT).astype("<u8").data)
                position += _FEED_COUNT
                if monotonic() > end:
                    process.kill()
                    raise OutOfTime
            process.stdin.close()
        except BrokenPipeError:  # it has read enough
            pass
        return process.stdout.read().decode()
