"""Interruptions: from the last byte heard to the first proof after it, if long or if the connection changed."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from itertools import pairwise

import pytest
from tests.support.memory import traced

from randstream.clock import Clock
from randstream.errors import Reason
from randstream.observe.interruptions import KEPT, Interruption, Interruptions, Pause
from randstream.protocol.end import End
from randstream.protocol.receiver import Receiver

HEARTBEAT = 1.0
LATER = 1e-6
"""A moment more than is allowed."""


class Times(Clock):
    """How far the time of day is ahead of the monotonic time, which the test gives."""

    def __init__(self) -> None:
        self.at = 0.0
        self.ahead = 1_000_000.0
        self.wall_time = lambda: self.at + self.ahead


@dataclass
class Case:
    """A link that was proved at 0.0 on a connection that `ear` hears."""

    times: Times
    link: Interruptions
    ear: End

    @classmethod
    def make(cls) -> Case:
        times = Times()
        case = cls(times, Interruptions(times), Receiver("worker-0", now=0.0))
        case.prove(0.0)
        return case

    def hear(self, now: float) -> None:
        """A byte comes that is not a proof."""
        self.times.at = now
        self.ear.receive_data(b"#", now)

    def prove(self, now: float) -> Interruption | None:
        """A byte comes that is a proof."""
        self.hear(now)
        return self.link.proved(now, self.ear)

    def lose(self, now: float, reason: Reason = Reason.CUT) -> None:
        """The connection ends; there is a new one."""
        self.times.at = now
        self.link.lost(reason, now)
        self.ear = Receiver("worker-0", now=now)


@pytest.fixture
def case() -> Case:
    return Case.make()


def of(link: Interruptions, now: float) -> tuple[int, float, float, float | None]:
    status = link.status(now)
    return status.count, status.longest, status.total, status.availability


@pytest.mark.parametrize(("gap", "counts"), [(1.0, 0), (2.0, 0), (2.0 + LATER, 1), (2.9, 1)])
def test_a_silence_counts_if_it_is_longer_than_two_heartbeats(case: Case, gap: float, counts: int) -> None:
    case.prove(1.0)
    ended = case.prove(1.0 + gap)
    assert case.link.count == counts
    if counts:
        assert ended == Interruption(1_000_001.0, gap, Pause.SILENCE, None)


def test_a_silence_begins_with_the_last_byte_and_not_with_the_last_proof_and_ends_with_a_proof(case: Case) -> None:
    case.hear(0.9)
    case.hear(3.0)
    current = case.link.status(3.0).current
    assert current == Interruption(1_000_000.9, 2.1, Pause.SILENCE, None)
    assert case.link.count == 0
    assert case.prove(3.5) == Interruption(1_000_000.9, 2.6, Pause.SILENCE, None)
    assert case.link.status(3.5).current is None


def test_bytes_that_come_all_the_time_without_proof_are_no_silence(case: Case) -> None:
    for now in (1.0, 2.0, 3.0, 4.0):
        case.hear(now)
    assert case.prove(4.5) is None


@pytest.mark.parametrize(("length", "counts"), [(2.0, 0), (2.0 + LATER, 1), (50.0, 1)])
def test_a_stall_counts_if_it_is_longer_than_two_heartbeats(case: Case, length: float, counts: int) -> None:
    case.hear(1.0)
    case.link.unproven(1.0, case.ear)
    for tick in range(2, int(length) + 2):
        case.hear(float(tick))
        case.link.unproven(1.0, case.ear)
    ended = case.prove(1.0 + length)
    assert case.link.count == counts
    if counts:
        assert ended == Interruption(1_000_001.0, length, Pause.STALLED, None)
    assert case.link.reconnects == 0


def test_a_stall_of_what_was_given_before_the_last_proof_begins_with_that(case: Case) -> None:
    case.prove(2.0)
    case.hear(3.0)
    case.link.unproven(1.5, case.ear)
    assert case.prove(4.0) is None
    case.hear(5.0)
    case.link.unproven(1.5, case.ear)
    for now in (6.0, 7.0):
        case.hear(now)
    assert case.prove(7.5) == Interruption(1_000_004.0, 3.5, Pause.STALLED, None)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.YIELD])
def test_a_lost_connection_counts_however_short_with_its_unnoticed_part(case: Case, reason: Reason) -> None:
    case.prove(1.0)
    case.lose(1.5, reason)
    case.hear(1.7)
    assert case.link.reconnects == 0
    assert case.prove(1.75) == Interruption(1_000_001.0, 0.75, reason, 0.5)
    assert case.link.reconnects == 1


def test_a_half_open_connection_goes_unnoticed_until_its_timeout(case: Case) -> None:
    case.prove(1.0)
    current = case.link.status(3.5).current
    assert current is not None
    assert (current.cause, current.seconds, current.unnoticed) == (Pause.SILENCE, 2.5, None)
    case.lose(4.0, Reason.TIMEOUT)
    case.lose(4.5, Reason.CUT)  # attempts change nothing
    case.lose(9.0, Reason.REFUSED)
    case.times.at = 9.5
    current = case.link.status(9.5).current
    assert current == Interruption(1_000_001.0, 8.5, Reason.TIMEOUT, 3.0)
    assert case.prove(10.0) == Interruption(1_000_001.0, 9.0, Reason.TIMEOUT, 3.0)


def test_what_the_worker_hands_over_is_called_so(case: Case) -> None:
    case.prove(1.0)
    case.lose(1.0, Reason.YIELD)
    assert case.prove(1.01) == Interruption(1_000_001.0, 0.01, Pause.HAND_OVER, 0.0)
    assert case.link.reconnects == 0


def test_a_stall_and_a_broken_silence_keep_their_cause_and_start_if_the_connection_is_lost_in_them(case: Case) -> None:
    for now in (1.0, 2.0, 3.0, 4.0):
        case.hear(now)
        case.link.unproven(1.0, case.ear)
    case.lose(4.5, Reason.SHUTDOWN)
    assert case.prove(5.0) == Interruption(1_000_001.0, 4.0, Pause.STALLED, 3.5)
    case.hear(7.5)
    case.lose(7.6)
    assert case.prove(8.0) == Interruption(1_000_005.0, 3.0, Pause.SILENCE, 2.6)


def test_a_timeout_right_after_an_answer_that_proved_nothing_is_no_stall(case: Case) -> None:
    case.hear(1.0)
    case.link.unproven(0.5, case.ear)
    case.lose(4.0, Reason.TIMEOUT)
    assert case.prove(5.0) == Interruption(1_000_001.0, 4.0, Reason.TIMEOUT, 3.0)


def test_before_the_first_contact_nothing_is_interrupted() -> None:
    link = Interruptions(Clock())
    ear = Receiver("worker-0", now=0.0)
    for now in range(100):
        link.lost(Reason.CUT, float(now))
        link.unproven(float(now), ear)
    assert link.status(100.0).availability is link.status(100.0).current is link.first_proved_at is None
    ear.receive_data(b"#", 100.0)
    assert link.proved(100.0, ear) is None
    assert of(link, 100.0) == (0, 0.0, 0.0, 1.0)
    assert link.first_proved_at == 100.0


def test_a_link_that_is_not_needed_is_well_until_an_attempt_fails(case: Case) -> None:
    assert case.link.proved(1.0, None) is None
    assert of(case.link, 50.0) == (0, 0.0, 0.0, 1.0)
    case.times.at = 50.0
    case.lose(50.0)
    case.times.at = 51.0
    assert case.link.status(51.0).current == Interruption(1_000_050.0, 1.0, Reason.CUT, 0.0)
    case.times.at = 51.5
    assert case.link.proved(51.5, None) == Interruption(1_000_050.0, 1.5, Reason.CUT, 0.0)
    assert of(case.link, 51.5)[:3] == (1, 1.5, 1.5)


def test_a_link_that_was_not_needed_is_stalled_if_the_sink_is_not_ready_when_it_is(case: Case) -> None:
    case.link.proved(1.0, None)
    case.ear = Receiver("worker-0", now=9.0)
    for now in (10.0, 11.0, 12.0, 13.0):
        case.hear(now)
        case.link.unproven(now, case.ear)
    assert case.prove(14.0) == Interruption(1_000_010.0, 4.0, Pause.STALLED, None)


def test_the_time_to_a_first_proof_on_a_connection_that_was_not_needed_before_is_no_silence(case: Case) -> None:
    case.link.proved(1.0, None)
    case.ear = Receiver("worker-0", now=2.0)
    case.hear(9.0)
    assert case.ear.silent_since == 2.0
    assert case.prove(9.5) is None
    assert case.prove(10.0) is None


def test_a_clock_that_steps_falsifies_no_length_and_the_start_is_as_the_clock_was_at_the_end(case: Case) -> None:
    case.prove(1.0)
    case.lose(2.0)
    case.times.ahead -= 500_000.0
    assert case.prove(5.0) == Interruption(500_001.0, 4.0, Reason.CUT, 1.0)
    case.times.ahead += 7.0
    assert case.link.last[0].start == 500_001.0


def test_availability_is_the_part_of_the_time_since_the_first_contact_with_the_current_one(case: Case) -> None:
    case.prove(1.0)
    case.lose(1.0)
    case.prove(3.0)
    assert of(case.link, 5.0) == (1, 2.0, 2.0, pytest.approx(0.6))
    case.lose(5.0)
    assert of(case.link, 20.0) == (1, 17.0, 19.0, pytest.approx(0.05))


def test_a_finished_link_counts_no_further(case: Case) -> None:
    case.prove(8.0)
    assert case.link.count == 1
    case.link.finish(8.0)
    assert of(case.link, 1000.0) == (1, 8.0, 8.0, 0.0)
    other = Case.make()
    other.lose(5.0)
    other.link.finish(10.0)
    other.link.finish(11.0)
    assert other.link.status(1000.0).current is not None
    assert of(other.link, 1000.0) == (0, 10.0, 10.0, 0.0)


def test_interruptions_never_overlap(case: Case) -> None:
    case.hear(1.0)
    case.link.unproven(1.0, case.ear)
    case.times.at = 3.5
    assert case.link.proved(3.5, case.ear) is not None  # the sink finishes, and the peer says nothing more
    case.lose(4.0, Reason.TIMEOUT)
    case.prove(6.0)
    first, second = case.link.last
    assert (first.cause, first.seconds) == (Pause.STALLED, 2.5)
    assert (second.cause, second.seconds, second.start) == (Reason.TIMEOUT, 2.5, first.start + first.seconds)


def test_the_last_hundred_are_kept_and_all_are_counted_in_bounded_memory(case: Case) -> None:
    with traced("observe/interruptions.py") as held:
        for number in range(10_000):
            if number == KEPT:
                before = held()
            case.lose(3.0 * number + 1.0)
            case.prove(3.0 * number + 3.0)
        grown = held() - before
    assert grown < 200_000  # of the 1.4 MB that all of them would take
    assert (case.link.count, len(case.link.last)) == (10_000, KEPT)
    assert all(one.start < other.start for one, other in pairwise(case.link.last))
    assert case.link.last[-1].start == 1_000_000.0 + 3.0 * 9_999
    assert [len(case.link.status(30_000.0, most).last) for most in (0, 1, 10, KEPT)] == [0, 1, 10, KEPT]
    assert case.link.status(30_000.0, 1).last == (case.link.last[-1],)


def test_ten_thousand_links_without_interruptions_take_next_to_nothing() -> None:
    clock = Clock()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        links = [Interruptions(clock) for _ in range(10_000)]
        for link in links:
            link.proved(1.0, None)
        each = (tracemalloc.get_traced_memory()[0] - before) / len(links)
    finally:
        tracemalloc.stop()
    assert each < 300


def test_a_proof_that_needs_no_byte_ends_what_the_last_byte_began(case: Case) -> None:
    case.hear(1.0)
    case.times.at = 2.5
    assert case.link.proved(2.5, case.ear) is None  # a sink that took its time
    case.hear(4.0)
    assert case.ear.silent_since == 1.0
    assert case.prove(4.5) is None
    case.lose(4.75)
    assert case.prove(5.0) == Interruption(1_000_004.5, 0.5, Reason.CUT, 0.25)


def test_a_peer_that_says_that_it_heard_nothing_was_lost_and_did_not_stall() -> None:
    """What we sent got lost on the way: the peer goes on acknowledging what it has, then gives up."""
    case = Case.make()
    case.prove(1.0)
    for now in (2.0, 3.0, 4.0):
        case.hear(now)
        case.link.unproven(2.0, case.ear)
    case.hear(4.5)
    case.lose(4.5, Reason.TIMEOUT)
    case.hear(4.6)
    interruption = case.link.proved(4.6, case.ear)
    assert interruption is not None
    assert (interruption.cause, interruption.seconds, interruption.unnoticed) == ("timeout", 3.6, 3.5)


def test_a_stall_that_ends_in_a_silence_of_the_peer_began_as_a_stall() -> None:
    case = Case.make()
    case.hear(1.5)
    case.link.unproven(0.5, case.ear)
    case.hear(3.0)
    case.lose(6.0, Reason.TIMEOUT)
    current = case.link.status(6.0).current
    assert current is not None
    assert (current.cause, current.seconds) == (Pause.STALLED, 5.5)


def test_what_happens_to_a_link_that_has_ended_is_none() -> None:
    case = Case.make()
    case.prove(1.0)
    case.link.finish(1.5)
    case.lose(2.0)
    status = case.link.status(3.0)
    assert (status.count, status.total, status.current) == (0, 0.0, None)
