from __future__ import annotations

from random import Random

import pytest
from tests.support.log import Log

from randstream.clock import Clock
from randstream.errors import PeerClosed, PeerTimeout, Reason
from randstream.observe.journal import Journal
from randstream.observe.status import LinkState
from randstream.observe.tally import Tally
from randstream.protocol.frames import Open
from randstream.protocol.receiver import Receiver
from randstream.sinks.immediate import DiscardSink
from randstream.worker.intake import TAILS, Intake, last_lines
from randstream.worker.line import Line

OFFERED = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "producer-0", 1.0)


class Case:
    def __init__(self) -> None:
        self.problem: str | None = None
        self.tally, self.journal = Tally(), Journal(Clock())
        self.line = Line("worker-0", Random(0))
        self.line.served = OFFERED
        self.ear = Receiver("worker-0", now=0.0)
        self.intake = Intake(
            "worker-0", DiscardSink(), self.tally, self.journal, self.line, Clock(), lambda: self.problem
        )


def test_a_connection_that_carried_numbers_and_ended_is_a_reconnect() -> None:
    case = Case()
    intake = case.intake
    intake.set_opening(intake.report)
    assert intake.state is LinkState.OPENING
    intake.set_streaming(1200, 5.0, "start", case.ear)
    assert intake.state is LinkState.STREAMING
    intake.set_waiting(PeerTimeout("nothing heard"), 6.0, is_polite=False)
    assert intake.state is LinkState.WAITING
    assert (intake.reconnects, case.tally.ends) == (0, {"timeout": 1})
    assert [entry.event for entry in case.journal.entries] == ["link.resumed", "link.lost"]


def test_why_no_numbers_come_is_the_reason_and_nothing_while_they_do() -> None:
    case = Case()
    intake = case.intake
    assert intake.reason == "no producer has connected yet"
    intake.set_opening(intake.report)
    intake.set_streaming(1200, 5.0, "start", case.ear)
    assert intake.reason is None
    case.problem = "the disk is full"
    assert intake.reason == "the disk is full"
    case.problem = None
    intake.set_waiting(PeerTimeout("nothing heard"), 6.0, is_polite=False)
    status = intake.status(8.0, 0.0)
    assert (status.reason, status.error) == ("nothing heard", "nothing heard")
    assert status.since is not None


def test_a_connection_that_never_carried_numbers_is_a_failure() -> None:
    case = Case()
    intake = case.intake
    intake.set_opening(intake.report)
    intake.set_waiting(PeerClosed(Reason.CUT), 6.0, is_polite=False)
    assert (intake.reconnects, case.tally.failures, case.tally.ends) == (0, {"cut": 1}, {})


def test_an_interruption_is_from_the_last_byte_to_the_next_opening_beat_by_what_ended_it_first(log: Log) -> None:
    case = Case()
    intake = case.intake
    intake.set_opening(intake.report)
    intake.set_streaming(10, 5.0, "start", case.ear)
    case.ear.heard_at = 6.0
    intake.set_waiting(PeerTimeout("nothing heard"), 9.0, is_polite=False, offset=12, acked=11)
    intake.set_opening(intake.report)
    intake.set_waiting(PeerClosed(Reason.CUT), 9.5, is_polite=False, offset=None, acked=None)
    assert not case.tally.interruptions
    intake.set_opening(intake.report)
    intake.set_streaming(11, 10.5, "promotion", case.ear)
    assert {cause: sum(each.counts) for cause, each in case.tally.interruptions.items()} == {"timeout": 1}
    assert case.tally.interruptions["timeout"].total == 4.5
    first, second = log.of("link.resumed")
    assert (second["interruption"], second["interrupted_by"], second["unnoticed"]) == (4.5, "timeout", 3.0)
    assert second["after"] == "promotion"
    assert not first.keys() & {"interruption", "interrupted_by", "unnoticed"}
    case.ear.heard_at = 19.75
    intake.set_waiting(PeerClosed(Reason.YIELD), 20.0, is_polite=True, offset=50, acked=50)
    intake.set_streaming(50, 20.0, "hand-over", case.ear)
    assert case.tally.interruptions["hand-over"].total == 0.25


def test_the_end_of_a_raw_peer_interrupts_nothing() -> None:
    case = Case()
    case.intake.set_raw(case.intake.report, 5.0)
    case.intake.set_waiting(PeerClosed(Reason.CUT), 6.0, is_polite=True)
    case.intake.set_streaming(0, 7.0, "start", case.ear)
    assert not case.tally.interruptions


def test_numbers_are_counted_and_move_the_offset() -> None:
    case = Case()
    intake = case.intake
    intake.set_opening(intake.report)
    intake.set_streaming(10, 5.0, "start", case.ear)
    intake.note_numbers(b"52\n78\n", 2)
    intake.note_beat(6.0)
    intake.note_commit(11, 0.002)
    status = intake.status(6.5, 2.0)
    assert (status.offset, status.acked_offset, status.silence, status.peer) == (12, 11, 0.5, "producer-0")
    assert (case.tally.numbers, case.tally.number_bytes, case.tally.acked_numbers) == (2, 6, 1)
    assert sum(case.tally.commits.counts) == 1


def test_numbers_of_a_raw_peer_are_counted_and_leave_the_offset_alone() -> None:
    case = Case()
    intake = case.intake
    intake.set_raw(intake.report, 5.0)
    intake.note_numbers(b"1\n", 1, is_raw=True)
    assert (case.tally.numbers, intake.offset, intake.state) == (1, 0, LinkState.STREAMING)


def test_a_sink_that_takes_nothing_stalls_a_link_that_is_there() -> None:
    case = Case()
    case.problem = "the disk is full"
    assert case.intake.state is LinkState.WAITING
    case.intake.set_opening(case.intake.report)
    case.intake.set_streaming(0, 5.0, "start", case.ear)
    assert case.intake.state is LinkState.STALLED


def test_recent_numbers_are_whole_and_told_once() -> None:
    case = Case()
    intake = case.intake
    intake.set_opening(intake.report)
    intake.set_streaming(0, 5.0, "start", case.ear)
    for number in range(TAILS + 3):
        intake.note_numbers(b"%d\n" % number, 1)
    assert list(intake.recent_numbers(0, 5)) == [TAILS - 2, TAILS - 1, TAILS, TAILS + 1, TAILS + 2]
    assert list(intake.recent_numbers(0, 5)) == []


def test_a_large_run_keeps_only_its_end() -> None:
    case = Case()
    intake = case.intake
    intake.set_opening(intake.report)
    intake.set_streaming(0, 5.0, "start", case.ear)
    intake.note_numbers(b"55\n" * 100_000, 100_000)
    assert set(intake.recent_numbers(0, 200)) == {55}


@pytest.mark.parametrize(
    ("size", "lines"), [(0, b""), (2, b""), (3, b"22\n"), (5, b"22\n"), (6, b"11\n22\n"), (9, b"11\n22\n")]
)
def test_the_last_lines_are_whole(size: int, lines: bytes) -> None:
    assert last_lines(b"11\n22\n", size) == lines
