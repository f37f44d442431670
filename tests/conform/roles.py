"""What the tests of the suites share: the suites, played against whatever a test has started."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from randstream.conform.cases import Case, Outcome
from randstream.conform.suites import PRODUCER_CASES, WORKER_CASES, run_producer_suite, run_worker_suite


def of_rule(known: Iterable[Case], rule: str, part_of_name: str = "") -> list[Case]:
    """The cases of `rule` whose names contain `part_of_name`."""
    found = [case for case in known if rule in case.rules and part_of_name in case.name]
    assert found, f"no case of {rule} {part_of_name}"
    return found


async def judged_worker(port: int, cases: Iterable[Case] = WORKER_CASES, seconds: float = 120.0) -> list[Outcome]:
    """The outcomes of `cases` against the worker at `port`."""
    outcomes: list[Outcome] = []
    await run_worker_suite("127.0.0.1", port, cases, outcomes.append, seconds=seconds, random=Random(1))
    return outcomes


async def judged_producer(
    port: int, cases: Iterable[Case] = PRODUCER_CASES, seconds: float = 120.0, seed: str | None = None
) -> list[Outcome]:
    """The outcomes of `cases` against the producer that dials `port` of 127.0.0.1, 127.0.0.2 and so on."""
    outcomes: list[Outcome] = []
    await run_producer_suite(
        "0.0.0.0", port, cases, outcomes.append, seconds=seconds, seed=seed, listening=lambda _: None
    )
    return outcomes


def addresses(port: int, count: int) -> list[str]:
    """Of so many links to one suite."""
    return [f"127.0.0.{number}:{port}" for number in range(1, count + 1)]


def broken(outcomes: Iterable[Outcome]) -> list[str]:
    """What failed, for people."""
    return [f"{each.case.name}: expected {each.expected}; came {each.came}" for each in outcomes if each.is_broken]
