"""Membership: which workers a service has, judged by DNS and by live links. Pure: never reads a clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Final

from ..settings import Target

LEFT_OUT_SECONDS: Final = 30.0
"""A worker has left once it has had no connection and DNS has left it out for this long. An answer may name only some
of the workers, a different choice each time: if it names half, thirty in a row miss a worker once in 10^9."""


class Membership:
    """The workers that the answers to one question add up to. Times are in seconds."""

    def __init__(self) -> None:
        self._missed_since: dict[Target, float] = {}

    @property
    def members(self) -> Collection[Target]:
        """In the order in which they were first named."""
        return self._missed_since.keys()

    def update(self, named: Collection[Target], is_up: Callable[[Target], bool], now: float) -> None:
        """DNS has named `named`. A worker that `is_up` stays a member, whatever DNS says."""
        present = set(named)
        for target in [*self._missed_since, *named]:
            if target in present or is_up(target):
                self._missed_since[target] = math.inf
            else:
                since = self._missed_since[target] = min(now, self._missed_since[target])
                if now - since >= LEFT_OUT_SECONDS:
                    del self._missed_since[target]
