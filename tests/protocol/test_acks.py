"""The rules of acks."""

from __future__ import annotations

import pytest
from tests.protocol.network import (
    START,
    a_resumed_receiver,
    a_streaming_receiver,
    a_streaming_sender,
    an_opened_receiver,
    an_opened_sender,
    beat_line,
    number_lines,
    reason_of_close,
    sent,
)

from randstream.errors import LocalProtocolError, Reason
from randstream.protocol import MAX_WORDS_A_SECOND
from randstream.protocol.events import Acknowledged, Waited
from randstream.protocol.states import State

PERIOD = 1.25
"""Heartbeats between two acks: a beat may come a quarter of one early, and so the next that much after."""


def test_ack_means_stored_so_none_comes_before_the_driver_says_so() -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"52\n78\n" + beat_line(2, b"52\n78\n", t="2"), START)
    assert sent(receiver) == b""
    receiver.acknowledge(1, START)
    assert sent(receiver) == b""
    receiver.acknowledge(2, START)
    assert sent(receiver) == b"#ack offset=2 t=2\n"
    assert receiver.acked_offset == 2


def test_ack_means_stored_of_the_newest_beat_that_is_wholly_in_the_sink() -> None:
    receiver = a_streaming_receiver()
    for n, t in ((0, "5"), (1, "6"), (2, "7")):
        receiver.receive_data(b"5\n" + beat_line(n + 1, b"5\n", t=t), START)
    receiver.receive_data(b"5\n", START)
    receiver.acknowledge(2, START)
    assert sent(receiver) == b"#ack offset=2 t=6\n"
    receiver.acknowledge(4, START)
    assert sent(receiver) == b"#ack offset=3 t=7\n"
    receiver.acknowledge(4, START)
    assert sent(receiver) == b""


def test_ack_t_repeats_that_of_the_beat_it_answers_and_a_repeated_ack_has_none() -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"5\n" + beat_line(1, b"5\n", t="0042"), START)
    receiver.acknowledge(1, START)
    assert sent(receiver) == b"#ack offset=1 t=0042\n"
    receiver.handle_timer(START + PERIOD)
    assert sent(receiver) == b"#ack offset=1\n"


def test_ack_t_of_a_repeated_ack_tells_no_round_trip() -> None:
    assert a_streaming_sender(7).receive_data(b"#ack offset=7\n", START) == [Acknowledged(7, None)]


@pytest.mark.parametrize("heartbeat", ["0.05", "1.0", "60"])
def test_ack_once_a_heartbeat_is_repeated_however_long_the_sink_takes(heartbeat: str) -> None:
    seconds = float(heartbeat)
    receiver = a_streaming_receiver(1200, heartbeat, now=0.0)
    run = number_lines(1200, 10)
    receiver.receive_data(run + beat_line(1210, run), 0.5 * seconds)
    for period in range(1, 20):
        due = receiver.deadline
        assert due == pytest.approx(PERIOD * period * seconds)
        receiver.receive_data(beat_line(1210), due - 0.01 * seconds)
        assert sent(receiver) == b""
        receiver.handle_timer(due)
        assert sent(receiver) == b"#ack offset=1200\n"


def test_ack_once_a_heartbeat_from_resume_on_also_before_the_opening_beat() -> None:
    receiver = a_resumed_receiver(1200)
    receiver.handle_timer(START + PERIOD)
    assert sent(receiver) == b"#ack offset=1200\n"
    assert a_streaming_sender(1200).receive_data(b"#ack offset=1200\n", START) == [Acknowledged(1200, None)]


def test_ack_once_a_heartbeat_has_nothing_to_repeat_before_an_offset_is_adopted() -> None:
    receiver = a_resumed_receiver(None)
    receiver.handle_timer(START + PERIOD)
    assert sent(receiver) == b""
    receiver.receive_data(beat_line(7), START + PERIOD)
    assert sent(receiver) == b"#ack offset=7 t=1\n"


def test_ack_once_a_heartbeat_counts_from_the_last_ack_of_any_kind() -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(beat_line(0), START + 1.0)
    assert sent(receiver) == b"#ack offset=0 t=1\n"
    assert receiver.deadline == START + 1.0 + PERIOD


def test_empty_beat_is_acked_at_once() -> None:
    receiver = a_streaming_receiver(1200)
    receiver.receive_data(beat_line(1200, t="17"), START)
    assert sent(receiver) == b"#ack offset=1200 t=17\n"


def test_empty_beat_is_not_acked_while_a_commit_below_it_is_pending() -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"5\n" + beat_line(1, b"5\n", t="2"), START)
    receiver.receive_data(beat_line(1, t="3"), START + 1)
    assert sent(receiver) == b""
    receiver.acknowledge(1, START + 1)
    assert sent(receiver) == b"#ack offset=1 t=3\n"
    receiver.receive_data(beat_line(1, t="4"), START + 2)
    assert sent(receiver) == b"#ack offset=1 t=4\n"


def test_one_ack_waits_and_a_newer_one_replaces_it() -> None:
    receiver = a_streaming_receiver()
    for n in range(1000):
        receiver.receive_data(b"5\n" + beat_line(n + 1, b"5\n", t=str(n)), START)
        receiver.acknowledge(n + 1, START)
    assert sent(receiver) == b"#ack offset=1000 t=999\n"
    for beat in range(10):
        receiver.receive_data(beat_line(1000), START + beat)
        receiver.handle_timer(receiver.deadline)
    assert sent(receiver) == b"#ack offset=1000\n"


def test_one_ack_waits_behind_resume_and_before_close() -> None:
    receiver = an_opened_receiver()
    receiver.resume(7, START)
    receiver.receive_data(beat_line(7, t="3"), START)
    receiver.close(Reason.SHUTDOWN)
    assert sent(receiver) == b"#resume offset=7\n#ack offset=7 t=3\n#close reason=shutdown\n"


def test_ack_in_range_is_at_or_above_the_last_one() -> None:
    sender = a_streaming_sender(1200)
    sender.send_numbers(b"5\n" * 9, 9, START)
    sender.send_final_beat(START)
    assert sender.receive_data(b"#ack offset=1209\n#ack offset=1209\n", START) == [Acknowledged(1209, None)] * 2
    events = sender.receive_data(b"#ack offset=1208\n", START)
    assert len(events) == 1
    assert reason_of_close(events) is Reason.MALFORMED


@pytest.mark.parametrize("offset", [0, 1199, 1201, 1202, 2**63 - 1])
def test_ack_in_range_is_what_beats_have_said_so_numbers_without_one_cannot_be_acked(offset: int) -> None:
    sender = a_streaming_sender(1200)
    sender.send_numbers(b"52\n78\n", 2, START)
    assert reason_of_close(sender.receive_data(b"#ack offset=%d\n" % offset, START)) is Reason.MALFORMED
    assert sender.acked_offset == 1200


@pytest.mark.parametrize("offset", [1199, 1203, 2**63 - 1])
def test_ack_in_range_is_at_or_below_the_last_beat(offset: int) -> None:
    sender = a_streaming_sender(1200)
    sender.send_numbers(b"52\n78\n", 2, START)
    sender.send_final_beat(START)
    assert reason_of_close(sender.receive_data(b"#ack offset=%d\n" % offset, START)) is Reason.MALFORMED


def test_ack_moves_the_offset_and_settles_the_sender() -> None:
    sender = a_streaming_sender(1200)
    assert sender.is_settled
    assert sender.unacked_since is None
    sender.send_numbers(b"52\n78\n", 2, START)
    assert not sender.is_settled
    sender.send_final_beat(START + 0.5)
    sender.send_final_beat(START + 0.7)
    assert sender.unacked_since == START + 0.5
    sender.receive_data(b"#ack offset=1200\n", START + 1)
    assert sender.unacked_since == START + 0.5
    assert sender.receive_data(b"#ack offset=1202\n", START + 1) == [Acknowledged(1202, None)]
    assert sender.is_settled
    assert sender.unacked_since is None
    sender.close(Reason.SHUTDOWN)
    assert not sender.is_settled


def test_beats_that_move_nothing_are_not_piled_up_at_either_end_while_the_sink_is_stalled() -> None:
    sender, receiver = a_streaming_sender(), a_streaming_receiver()
    sender.send_numbers(b"5\n", 1, START)
    for second in range(100):
        sender.send_final_beat(START + second)
        receiver.receive_data(sent(sender), START + second)
    assert len(sender._unacked) == 1
    assert len(receiver._unacked) == 1
    receiver.acknowledge(1, START + 100)
    assert sender.receive_data(sent(receiver), START + 100.5) == [Acknowledged(1, pytest.approx(1.5))]


def test_words_a_second_are_bounded_and_a_flood_of_acks_is_too_long() -> None:
    sender = a_streaming_sender()
    ack = b"#ack offset=0\n"
    assert len(sender.receive_data(ack * MAX_WORDS_A_SECOND, START)) == MAX_WORDS_A_SECOND
    assert len(sender.receive_data(ack * MAX_WORDS_A_SECOND, START + 1)) == MAX_WORDS_A_SECOND
    assert reason_of_close(sender.receive_data(ack * 2, START + 1.9)) is Reason.TOO_LONG


def test_words_a_second_are_bounded_and_a_flood_of_waits_is_too_long() -> None:
    sender = an_opened_sender()
    events = sender.receive_data(b"#wait\n" * 2 * MAX_WORDS_A_SECOND, START)
    assert events[:-1] == [Waited()] * MAX_WORDS_A_SECOND
    assert reason_of_close(events[-1:]) is Reason.TOO_LONG


def test_acks_after_the_end_are_silently_dropped() -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"5\n" + beat_line(1, b"5\n"), START)
    receiver.close(Reason.TAKEOVER)
    receiver.acknowledge(1, START)
    assert sent(receiver) == b"#close reason=takeover\n"
    assert receiver.state is State.CLOSED


def test_ack_of_no_offset_at_all_is_a_bug_of_ours() -> None:
    with pytest.raises(LocalProtocolError):
        a_resumed_receiver(None)._say_ack(None, START)
