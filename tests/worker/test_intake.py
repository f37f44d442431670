from __future__ import annotations

import pytest

from randstream.errors import Reason
from randstream.observe.status import LinkState
from randstream.protocol.frames import Open
from randstream.sinks.immediate import DiscardSink
from randstream.worker.intake import TAILS, Intake, last_lines

OFFERED = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "producer-0", 1.0)


class Case:
    def __init__(self) -> None:
        self.problem: str | None = None
        self.intake = Intake("worker-0", DiscardSink(), lambda: self.problem)


def test_a_connection_that_carried_numbers_and_ended_is_a_reconnect() -> None:
    intake = Case().intake
    intake.note_open(OFFERED)
    assert intake.state is LinkState.OPENING
    intake.note_start(1200, 5.0)
    assert intake.state is LinkState.STREAMING
    intake.note_end(Reason.TIMEOUT, "nothing heard")
    assert intake.state is LinkState.WAITING
    assert (intake.reconnects, intake.tally.ends) == (1, {"timeout": 1})
    assert [entry.event for entry in intake.journal.entries] == ["link.resumed", "link.lost"]


def test_a_connection_that_never_carried_numbers_is_a_failure() -> None:
    intake = Case().intake
    intake.note_open(OFFERED)
    intake.note_end(Reason.CUT, "gone")
    assert (intake.reconnects, intake.tally.failures, intake.tally.ends) == (0, {"cut": 1}, {})


def test_numbers_are_counted_and_move_the_offset() -> None:
    intake = Case().intake
    intake.note_open(OFFERED)
    intake.note_start(10, 5.0)
    intake.note_numbers(b"52\n78\n", 2)
    intake.note_beat(6.0)
    intake.note_commit(11, 0.002)
    status = intake.status(6.5, 2.0)
    assert (status.offset, status.acked_offset, status.silence, status.peer) == (12, 11, 0.5, "producer-0")
    assert (intake.tally.numbers, intake.tally.number_bytes, intake.tally.acked_numbers) == (2, 6, 1)
    assert sum(intake.tally.commits.counts) == 1


def test_numbers_of_a_raw_peer_are_counted_and_leave_the_offset_alone() -> None:
    intake = Case().intake
    intake.note_raw()
    intake.note_numbers(b"1\n", 1, is_raw=True)
    assert (intake.tally.numbers, intake.offset, intake.state) == (1, 0, LinkState.STREAMING)


def test_a_sink_that_takes_nothing_stalls_a_link_that_is_there() -> None:
    case = Case()
    case.problem = "the disk is full"
    assert case.intake.state is LinkState.WAITING
    case.intake.note_open(OFFERED)
    case.intake.note_start(0, 5.0)
    assert case.intake.state is LinkState.STALLED


def test_recent_numbers_are_whole_and_told_once() -> None:
    intake = Case().intake
    intake.note_open(OFFERED)
    intake.note_start(0, 5.0)
    for number in range(TAILS + 3):
        intake.note_numbers(b"%d\n" % number, 1)
    assert list(intake.recent_numbers(0, 5)) == [TAILS - 2, TAILS - 1, TAILS, TAILS + 1, TAILS + 2]
    assert list(intake.recent_numbers(0, 5)) == []


def test_a_large_run_keeps_only_its_end() -> None:
    intake = Case().intake
    intake.note_open(OFFERED)
    intake.note_start(0, 5.0)
    intake.note_numbers(b"55\n" * 100_000, 100_000)
    assert set(intake.recent_numbers(0, 200)) == {55}


@pytest.mark.parametrize(
    ("size", "lines"), [(0, b""), (2, b""), (3, b"22\n"), (5, b"22\n"), (6, b"11\n22\n"), (9, b"11\n22\n")]
)
def test_the_last_lines_are_whole(size: int, lines: bytes) -> None:
    assert last_lines(b"11\n22\n", size) == lines
