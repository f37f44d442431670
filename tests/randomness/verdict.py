"""Verdict: what p-values say of a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PValues = dict[str, float]
"""By the name of what was looked at. Near 0: worse than chance; near 1: better than chance."""

WEAK: Final = 1e-3
"""A two-sided p-value below this is looked at again, in other words of the generator. Of a sound generator's one in a
thousand is weak, and one in a million is weak again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The p-values of the first run, which of them were `weak`, and which of those were weak `again`."""

    p_values: PValues
    weak: tuple[str, ...] = ()
    again: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        return bool(self.again)


def judge(run: Callable[[int], PValues], offset: int, other_offset: int) -> Verdict:
    """Run a test at `offset` and, if it is weak there, at `other_offset` too."""
    p_values = run(offset)
    weak = tuple(name for name, p in p_values.items() if two_sided(p) < WEAK)
    if not weak:
        return Verdict(p_values)
    second = run(other_offset)
    return Verdict(p_values, weak, tuple(name for name in weak if two_sided(second[name]) < WEAK))


def two_sided(p: float) -> float:
    """How seldom p is as near to 0 or 1 as this. 0 for NaN, which is no statistic at all."""
    return 2 * min(p, 1 - p) if 0 <= p <= 1 else 0.0
