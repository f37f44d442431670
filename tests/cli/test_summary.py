"""The summary of a check, and of a role that ends."""

from __future__ import annotations

from dataclasses import replace

from randstream.cli.summary import MOST, Account, RoundTrips, count_causes, sum_up, summary_lines
from randstream.clock import Clock
from randstream.errors import Reason
from randstream.observe.durations import Durations
from randstream.observe.interruptions import Interruptions

WELL = Account("worker-0", "a:9000", None, "10 numbers sent", RoundTrips(0.001, 0.002, 0.003, 0.004), 0, 0.0, 0.0, {})
BROKEN = replace(WELL, name="worker-1", count=3, longest=3725.0, total=3726.5, by_cause={"cut": 2, "silence": 1})


def test_an_account_is_a_few_lines() -> None:
    assert list(summary_lines([BROKEN, replace(WELL, peer=None, round_trips=None)])) == [
        "--- worker-1 at a:9000",
        "10 numbers sent",
        "round trip min / median / p99 / max = 1.0 ms / 2.0 ms / 3.0 ms / 4.0 ms",
        "3 interruptions, longest 3,725.00 s, 3,726.50 s in all: 2 × cut, 1 × silence",
        "--- worker-0",
        "10 numbers sent",
        "no interruption",
    ]


def test_trouble_comes_first_and_there_is_an_end() -> None:
    accounts = [replace(WELL, name=f"worker-{n}") for n in range(MOST + 5)]
    in_trouble = replace(WELL, name="bad", problem="interrupted", numbers=None, round_trips=None)
    lines = list(summary_lines([*accounts, BROKEN, in_trouble]))
    assert lines[:2] == ["--- bad at a:9000", "interrupted"]
    assert lines[2] == "--- worker-1 at a:9000"
    assert lines[-1] == "--- and 7 more: 0 in trouble, 0 interrupted for no longer than these"
    assert len([line for line in lines if line.startswith("---")]) == MOST + 1


def test_nothing_is_nothing() -> None:
    assert list(summary_lines([])) == []


def test_round_trips_are_summed_up_if_there_are_any() -> None:
    trips = Durations()
    assert sum_up(trips) is sum_up(None) is None
    trips.observe(0.25)
    assert sum_up(trips) == RoundTrips(0.25, 0.25, 0.25, 0.25)


def test_the_interruption_that_goes_on_has_a_cause_too() -> None:
    interruptions = Interruptions(Clock())
    interruptions.proved(0.0, None)
    for reason in (Reason.CUT, Reason.CUT, Reason.TIMEOUT):
        interruptions.lost(reason, 1.0)
        if reason is Reason.CUT:
            interruptions.proved(2.0, None)
    assert count_causes(interruptions.status(3.0)) == {"cut": 2, "timeout": 1}
