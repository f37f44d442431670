"""The receiver: what it agrees to, what it checks of numbers and beats, and when it acknowledges."""

from __future__ import annotations

import pytest
from tests.protocol.network import (
    START,
    a_receiver,
    a_resumed_receiver,
    a_sender,
    a_streaming_receiver,
    a_streaming_sender,
    an_opened_receiver,
    beat_line,
    number_lines,
    open_line,
    reason_of_close,
    sent,
)

from randstream.errors import LocalProtocolError, Reason
from randstream.protocol import MAX_UNACKED_BEATS
from randstream.protocol.events import Acknowledged, AskDue, Closed, Proved, Started
from randstream.protocol.frames import Beat, Resume, Wait, crc32c
from randstream.protocol.receiver import Receiver
from randstream.protocol.states import State

# ---- the handshake ---------------------------------------------------------------------------------------------------


def test_hello_first_is_sent_at_once_and_unasked() -> None:
    assert sent(Receiver("worker-7", now=START)) == b"#hello randstream/1 worker=worker-7\n"
    assert sent(a_sender()) == b""


def test_open_names_the_worker_or_is_malformed_and_nothing_is_opened() -> None:
    receiver = a_receiver()
    events = receiver.receive_data(open_line(worker="worker-1"), START)
    assert [type(event) for event in events] == [Closed]
    assert reason_of_close(events) is Reason.MALFORMED


def test_open_check_that_does_not_hold_is_malformed_and_nothing_is_opened() -> None:
    receiver = a_receiver()
    events = receiver.receive_data(open_line().replace(b"producer-0", b"producer-1"), START)
    assert [type(event) for event in events] == [Closed]
    assert reason_of_close(events) is Reason.MALFORMED


def test_handshake_limit_is_5_s_for_a_producer_that_says_nothing() -> None:
    receiver = a_receiver()
    assert receiver.deadline == START + 5
    assert receiver.handle_timer(START + 4.99) == []
    assert reason_of_close(receiver.handle_timer(START + 5)) is Reason.TIMEOUT


def test_handshake_limit_of_the_worker_ends_at_open_however_long_its_sink_takes() -> None:
    receiver = an_opened_receiver()
    for second in range(1, 300):
        assert receiver.handle_timer(START + second) == [AskDue()]
        receiver.ask(Wait(), 1.0, START + second)
        assert sent(receiver) == b"#wait\n"
        assert receiver.receive_data(b"#wait\n", START + second) == []
    receiver.resume(Resume(0), START + 300)
    assert receiver.state is State.PROVING


def test_resume_without_an_offset_lets_the_producer_choose() -> None:
    receiver = an_opened_receiver()
    receiver.resume(Resume(None), START)
    assert sent(receiver) == b"#resume\n"


@pytest.mark.parametrize("offset", [0, 1199, 1201, 2**63 - 1])
def test_opening_beat_at_another_offset_than_the_worker_named_is_a_mismatch(offset: int) -> None:
    receiver = a_resumed_receiver(1200)
    assert reason_of_close(receiver.receive_data(beat_line(offset), START)) is Reason.MISMATCH


def test_opening_beat_with_a_crc_of_something_is_a_mismatch() -> None:
    for receiver in (a_resumed_receiver(1200), a_resumed_receiver(None)):
        assert reason_of_close(receiver.receive_data(beat_line(1200, b"52\n"), START)) is Reason.MISMATCH


@pytest.mark.parametrize("offset", [0, 1200, 2**63 - 1])
def test_opening_beat_gives_its_offset_to_a_worker_that_named_none(offset: int) -> None:
    receiver = a_resumed_receiver(None)
    assert receiver.receive_data(beat_line(offset, t="9"), START) == [Started(offset)]
    assert receiver.offset == receiver.acked_offset == offset
    assert sent(receiver) == b"#ack offset=%d t=9\n" % offset


def test_opening_beat_must_come_before_the_first_number() -> None:
    for receiver in (a_resumed_receiver(1200), a_resumed_receiver(None)):
        assert reason_of_close(receiver.receive_data(b"52\n", START)) is Reason.MALFORMED


# ---- numbers and beats -----------------------------------------------------------------------------------------------


MIB = 2**20


HALF_MIB_OF_NUMBERS = b"1234567\n" * (MIB // 16)


COUNT = MIB // 16


def beat_line_of(offset: int, numbers: bytes) -> bytes:
    """`beat_line` for megabytes: with the library's checksum, which another test checks."""
    return b"#beat offset=%d crc=%08x t=1\n" % (offset, crc32c(numbers))


def test_beat_every_8_mib_is_checked_by_the_worker_to_the_byte() -> None:
    receiver = a_streaming_receiver()
    for _ in range(16):
        receiver.receive_data(HALF_MIB_OF_NUMBERS, START)
    assert receiver.offset == 16 * COUNT
    events = receiver.receive_data(b"5\n", START)
    assert len(events) == 1
    assert reason_of_close(events) is Reason.TOO_LONG


def test_beat_every_8_mib_starts_over_at_each_beat() -> None:
    receiver = a_streaming_receiver()
    for interval in range(1, 4):
        for _ in range(16):
            receiver.receive_data(HALF_MIB_OF_NUMBERS, START)
        beat = beat_line_of(interval * 16 * COUNT, 16 * HALF_MIB_OF_NUMBERS)
        assert len(receiver.receive_data(beat, START)) == 1


@pytest.mark.parametrize("numbers", [b"53\n78\n", b"52\n", b"52\n78\n5\n", b"78\n52\n", b"5\n278\n", b""])
def test_beat_checks_by_crc_so_that_other_numbers_are_a_mismatch(numbers: bytes) -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"52\n78\n", START)
    events = receiver.receive_data(beat_line(2, numbers), START)
    assert len(events) == 1
    assert reason_of_close(events) is Reason.MISMATCH
    assert sent(receiver) == b"#close reason=mismatch\n"


@pytest.mark.parametrize("offset", [0, 1, 3, 2**63 - 1])
def test_beat_checks_by_offset_so_that_a_wrong_count_is_a_mismatch(offset: int) -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"52\n78\n", START)
    assert reason_of_close(receiver.receive_data(beat_line(offset, b"52\n78\n"), START)) is Reason.MISMATCH


@pytest.mark.parametrize("t", ["0", "007", "9" * 20])
def test_beat_t_is_any_1_to_20_digits_and_comes_back_as_it_was(t: str) -> None:
    receiver = a_streaming_receiver()
    assert receiver.receive_data(beat_line(0, t=t), START) == [Proved(Beat(0, 0, t))]
    assert sent(receiver) == b"#ack offset=0 t=%s\n" % t.encode()


def test_window_exceeded_by_one_number_is_too_long() -> None:
    receiver = a_streaming_receiver()
    for interval in range(1, 5):
        for _ in range(16):
            receiver.receive_data(HALF_MIB_OF_NUMBERS, START)
        receiver.receive_data(beat_line_of(interval * 16 * COUNT, 16 * HALF_MIB_OF_NUMBERS), START)
    assert receiver.offset == 64 * COUNT
    events = receiver.receive_data(b"5\n", START)
    assert len(events) == 1
    assert reason_of_close(events) is Reason.TOO_LONG


def test_window_of_the_worker_moves_with_its_acks() -> None:
    receiver = a_streaming_receiver()
    for interval in range(1, 9):
        for _ in range(16):
            receiver.receive_data(HALF_MIB_OF_NUMBERS, START)
        (proved,) = receiver.receive_data(beat_line_of(interval * 16 * COUNT, 16 * HALF_MIB_OF_NUMBERS), START)
        assert isinstance(proved, Proved)
        receiver.acknowledge((interval - 2) * 16 * COUNT, START)


def test_beats_in_window_past_65536_without_an_ack_are_too_long() -> None:
    receiver = a_streaming_receiver()
    for offset in range(1, MAX_UNACKED_BEATS + 1):
        events = receiver.receive_data(b"5\n" + beat_line_of(offset, b"5\n"), START)
    assert isinstance(events[-1], Proved)
    one_more = b"5\n" + beat_line_of(MAX_UNACKED_BEATS + 1, b"5\n")
    assert reason_of_close(receiver.receive_data(one_more, START)) is Reason.TOO_LONG


# ---- acks ------------------------------------------------------------------------------------------------------------


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


def test_why_is_said_in_a_repeated_ack_and_in_a_wait_without_by_while_there_is_trouble() -> None:
    trouble: list[str | None] = ["disk-full"]
    receiver = Receiver("worker-0", now=START, trouble=lambda: trouble[0])
    receiver.receive_data(open_line(), START)
    sent(receiver)
    receiver.ask(Wait(offset=3), 1.0, START)
    assert sent(receiver) == b"#wait offset=3 why=disk-full\n"
    receiver.ask(Wait("producer-1", 3), 1.0, START)
    assert sent(receiver) == b"#wait by=producer-1 offset=3\n"
    receiver.resume(Resume(0), START)
    receiver.receive_data(2 * b"#wait\n" + beat_line(0), START)
    assert sent(receiver).endswith(b"#ack offset=0 t=1\n")
    receiver.handle_timer(START + PERIOD)
    assert sent(receiver) == b"#ack offset=0 why=disk-full\n"
    trouble[0] = None
    receiver.handle_timer(START + 2 * PERIOD)
    assert sent(receiver) == b"#ack offset=0\n"


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
    receiver.resume(Resume(7), START)
    receiver.receive_data(beat_line(7, t="3"), START)
    receiver.close(Reason.SHUTDOWN)
    assert sent(receiver) == b"#resume offset=7\n#ack offset=7 t=3\n#close reason=shutdown\n"


def test_acks_after_the_end_are_silently_dropped() -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"5\n" + beat_line(1, b"5\n"), START)
    receiver.close(Reason.TAKEOVER)
    receiver.acknowledge(1, START)
    assert sent(receiver) == b"#close reason=takeover\n"
    assert receiver.state is State.CLOSED


def test_ack_of_no_offset_at_all_is_a_bug_of_ours() -> None:
    receiver = a_streaming_receiver()
    receiver.acked_offset = None
    with pytest.raises(LocalProtocolError):
        receiver.handle_timer(receiver.deadline)
