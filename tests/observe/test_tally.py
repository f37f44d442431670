from __future__ import annotations

from randstream.clock import Clock
from randstream.observe.journal import KEPT, Journal
from randstream.observe.tally import TIME_BOUNDS, Buckets


def test_a_duration_falls_below_every_bound_that_it_does_not_exceed() -> None:
    buckets = Buckets()
    for seconds in (0.0, TIME_BOUNDS[0], TIME_BOUNDS[0] * 1.001, TIME_BOUNDS[-1], TIME_BOUNDS[-1] + 1):
        buckets.observe(seconds)
    assert buckets.counts == [2, 1, *[0] * (len(TIME_BOUNDS) - 3), 1, 1]
    assert buckets.total > 2 * TIME_BOUNDS[-1]


def test_the_journal_keeps_the_last_entries_only() -> None:
    journal = Journal(Clock())
    for number in range(KEPT + 5):
        journal.note("link.lost", f"worker-{number}", "cut")
    assert len(journal.entries) == KEPT
    assert journal.entries[-1].link == f"worker-{KEPT + 4}"
