"""Cases: what is tried, and how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any


class BrokenRuleError(Exception):
    """The peer breaks a rule: `expected` should have come, but `came` did."""

    def __init__(self, expected: str, came: object) -> None:
        super().__init__(f"expected {expected}; came {came}")
        self.expected = expected
        self.came = str(came)


class NotPlayedError(Exception):
    """The case cannot be played against this peer, for the reason given."""


Play = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to try. `play` takes what the suite offers, and raises one of the errors above if a rule is broken.

    `rules` are names in docs/protocol.md; `group` tells the suite what may run beside it; `limit` is in seconds.
    """

    name: str
    rules: tuple[str, ...]
    play: Play
    group: str
    limit: float = 20.0


def case_adder(cases: list[Case]) -> Callable[..., Callable[[Play], Play]]:
    """Return a decorator that adds a case to `cases`: `(name, *rules, group=..., limit=...)`."""

    def case(name: str, *rules: str, group: str, limit: float = 20.0) -> Callable[[Play], Play]:
        def add(play: Play) -> Play:
            cases.append(Case(name, rules, play, group, limit))
            return play

        return add

    return case


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: it held; or it did not, with what was `expected` and `came`; or why it was not played."""

    case: Case
    seconds: float
    expected: str = ""
    came: str = ""
    why_not: str = ""

    @property
    def is_broken(self) -> bool:
        return bool(self.expected)

    @property
    def is_held(self) -> bool:
        return not (self.expected or self.why_not)


async def play(case: Case, ground: Any) -> Outcome:
    """Play `case` on `ground`, within its limit."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    limit = asyncio.timeout(case.limit)
    try:
        async with limit:
            await case.play(ground)
    except BrokenRuleError as broken:
        return Outcome(case, loop.time() - start, expected=broken.expected, came=broken.came)
    except NotPlayedError as error:
        return Outcome(case, loop.time() - start, why_not=str(error))
    except TimeoutError:
        if not limit.expired():
            raise
        return Outcome(case, loop.time() - start, expected=f"an outcome within {case.limit:g} s", came="none")
    except OSError as error:
        return Outcome(case, loop.time() - start, expected="a connection", came=str(error))
    return Outcome(case, loop.time() - start)
