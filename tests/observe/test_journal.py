"""Journal: the last events of links, with the time that people's clocks show."""

from __future__ import annotations

from randstream.clock import Clock
from randstream.observe.journal import KEPT, Entry, Journal


def test_an_entry_has_the_time_of_the_wall_clock() -> None:
    clock = Clock()
    clock.now, clock.wall_time = lambda: 5.0, lambda: 1_800_000_000.0
    journal = Journal(clock)
    journal.note("link.lost", "worker-0", "cut")
    assert list(journal.entries) == [Entry(1_800_000_000.0, "link.lost", "worker-0", "cut")]


def test_the_journal_keeps_the_last_entries_only() -> None:
    journal = Journal(Clock())
    for number in range(KEPT + 5):
        journal.note("link.lost", f"worker-{number}", "cut")
    assert len(journal.entries) == KEPT
    assert journal.entries[-1].link == f"worker-{KEPT + 4}"
