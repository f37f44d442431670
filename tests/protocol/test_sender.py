"""The sender: how it opens a stream, when it beats, and what it lets a worker acknowledge."""

from __future__ import annotations

import pytest
from tests.protocol.network import (
    DISTRIBUTION,
    HELLO,
    START,
    STREAM,
    WORKER,
    ProducerModel,
    a_sender,
    a_streaming_sender,
    an_opened_sender,
    open_line,
    reason_of_close,
    sent,
)

from randstream.errors import LocalProtocolError, Reason
from randstream.protocol import MAX_UNWRITTEN_ANSWERS, MAX_WORDS_A_SECOND
from randstream.protocol.events import Acknowledged, Greeted, Resumed, Waited
from randstream.protocol.frames import crc32c
from randstream.protocol.sender import Sender

# ---- the handshake ---------------------------------------------------------------------------------------------------


def test_open_names_the_worker_that_hello_named() -> None:
    sender = a_sender()
    assert sender.receive_data(b"#hello randstream/1 worker=worker-7\n", START) == [Greeted("worker-7")]
    sender.open(STREAM, DISTRIBUTION, first_offset=0, now=START)
    assert sent(sender) == open_line(worker="worker-7")


def test_hello_version_that_a_producer_does_not_speak_is_closed_with_version() -> None:
    sender = a_sender()
    events = sender.receive_data(b"#hello randstream/2 worker=worker-0\n", START)
    assert reason_of_close(events) is Reason.VERSION
    assert sent(sender) == b"#close reason=version\n"


def test_handshake_limit_is_5_s_for_a_worker_that_says_nothing() -> None:
    sender = a_sender(heartbeat=60.0)
    assert sender.deadline == START + 5
    assert sender.handle_timer(START + 4.99) == []
    assert reason_of_close(sender.handle_timer(START + 5)) is Reason.TIMEOUT
    assert sent(sender) == b"#close reason=timeout\n"


def test_handshake_limit_of_the_producer_does_not_end_a_link_that_is_told_to_wait() -> None:
    sender = an_opened_sender()
    for second in range(1, 300):
        assert sender.handle_timer(START + second) == []
        assert sender.receive_data(b"#wait\n", START + second) == [Waited()]
        assert sent(sender) == b"#wait\n"
    assert sender.receive_data(b"#resume offset=7\n", START + 300) == [Resumed(7)]


def test_handshake_limit_of_the_producer_gives_way_to_three_heartbeats_at_open() -> None:
    sender = an_opened_sender(heartbeat=1.0)
    assert reason_of_close(sender.handle_timer(START + 3.0)) is Reason.TIMEOUT


def test_opening_beat_comes_right_after_resume_with_the_offset_and_the_crc_of_nothing() -> None:
    sender = an_opened_sender(now=0.0)
    sender.receive_data(b"#resume offset=1200\n", 0.5)
    assert sent(sender) == b"#beat offset=1200 crc=00000000 t=500000\n"


def test_start_offset_is_what_the_producer_had_acked_if_the_worker_names_none_else_0() -> None:
    for acked in (0, 1200):
        producer = ProducerModel(1.0)
        producer.acked_offset = acked
        sender = producer.dial(START)
        producer.handle(sender, sender.receive_data(HELLO, START), START)
        assert sender.receive_data(b"#resume\n", START) == [Resumed(acked)]
        assert sent(sender).splitlines()[-1].startswith(b"#beat offset=%d crc=00000000" % acked)


def test_a_worker_that_greets_and_closes_in_one_breath_is_no_bug_of_ours() -> None:
    sender = a_sender()
    events = sender.receive_data(HELLO + b"#close reason=busy\n", START)
    assert events[0] == Greeted(WORKER)
    assert reason_of_close(events) is Reason.BUSY
    sender.open(STREAM, DISTRIBUTION, first_offset=0, now=START)
    assert sent(sender) == b""


# ---- numbers and beats -----------------------------------------------------------------------------------------------


MIB = 2**20


HALF_MIB_OF_NUMBERS = b"1234567\n" * (MIB // 16)


COUNT = MIB // 16


def beats_in(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines() if line.startswith(b"#beat")]


def fill(sender: Sender, mib: int, now: float = START) -> bytes:
    for _ in range(2 * mib):
        sender.send_numbers(HALF_MIB_OF_NUMBERS, COUNT, now)
    return sent(sender)


@pytest.mark.parametrize("heartbeat", [0.05, 1.0, 60.0])
def test_beat_period_is_fixed_with_and_without_numbers(heartbeat: float) -> None:
    sender = a_streaming_sender(heartbeat=heartbeat, now=0.0)
    for period in range(1, 9):
        due = sender.deadline
        assert due == pytest.approx(period * heartbeat)
        sender.receive_data(b"#ack offset=%d\n" % sender.acked_offset, due - 0.5 * heartbeat)
        if period % 2:
            sender.send_numbers(b"5\n", 1, due - 0.5 * heartbeat)
        assert sender.handle_timer(due - 0.001 * heartbeat) == []
        assert beats_in(sent(sender)) == []
        sender.handle_timer(due)
        assert len(beats_in(sent(sender))) == 1


def test_beats_that_nobody_reads_do_not_pile_up_and_the_newest_goes_out() -> None:
    sender = a_streaming_sender()
    sender.send_numbers(b"7\n", 1, START)
    for _ in range(1000):
        sender.receive_data(b"#ack offset=0\n", sender.deadline)
        sender.handle_timer(sender.deadline)
    lines = sent(sender).splitlines()
    assert lines[0] == b"7"
    assert [line.split()[:3] for line in lines[1:]] == [
        [b"#beat", b"offset=1", b"crc=%08x" % crc32c(b"7\n")],
        [b"#beat", b"offset=1", b"crc=00000000"],
    ]
    assert f"t={int((sender.deadline - sender.heartbeat) * 1e6)} ".encode() in lines[-1] + b" "


def test_beat_period_is_not_stretched_by_a_late_timer_nor_caught_up_by_a_burst() -> None:
    sender = a_streaming_sender(now=0.0)
    sender.handle_timer(1.2)
    assert sender.deadline == 2.0
    assert len(beats_in(sent(sender))) == 1
    sender.receive_data(b"#ack offset=0\n", 7.3)
    sender.handle_timer(7.3)
    assert len(beats_in(sent(sender))) == 1
    assert sender.deadline == 8.3


def test_beat_early_by_a_quarter_of_a_period_shares_a_write_with_numbers() -> None:
    sender = a_streaming_sender(now=0.0)
    sender.send_numbers(b"52\n", 1, 0.74)
    assert beats_in(sent(sender)) == []
    sender.send_numbers(b"78\n", 1, 0.75)
    assert sent(sender) == b"78\n#beat offset=2 crc=b1325618 t=750000\n"
    sender.send_numbers(b"5\n", 1, 0.99)
    assert beats_in(sent(sender)) == []
    assert sender.deadline == 2.0


def test_beat_early_never_comes_without_numbers() -> None:
    sender = a_streaming_sender(now=0.0)
    sender.handle_timer(0.99)
    assert sent(sender) == b""


def test_beat_every_8_mib_at_the_latest_whatever_the_time() -> None:
    sender = a_streaming_sender()
    assert beats_in(fill(sender, 8)) == []
    sender.send_numbers(b"5\n", 1, START)
    data = sent(sender)
    assert data.startswith(b"#beat offset=%d crc=%08x" % (16 * COUNT, crc32c(16 * HALF_MIB_OF_NUMBERS)))
    assert data.endswith(b"\n5\n")
    assert sender.deadline == START + 1.0


def test_beat_every_8_mib_holds_for_one_run_too() -> None:
    with pytest.raises(LocalProtocolError):
        a_streaming_sender().send_numbers(17 * HALF_MIB_OF_NUMBERS, 17 * COUNT, START)


def test_beat_t_is_the_producers_clock_and_gives_the_round_trip() -> None:
    sender = a_streaming_sender(now=10.0)
    sender.handle_timer(11.0)
    (t,) = [line.rpartition(b"t=")[2] for line in beats_in(sent(sender))]
    (acked,) = sender.receive_data(b"#ack offset=0 t=%s\n" % t, 11.25)
    assert isinstance(acked, Acknowledged)
    assert acked.round_trip == pytest.approx(0.25)


def test_beat_t_that_was_never_sent_gives_no_round_trip() -> None:
    sender = a_streaming_sender(now=10.0)
    assert sender.receive_data(b"#ack offset=0 t=%s\n" % (b"9" * 20), 11.0) == [Acknowledged(0, None)]


def test_window_of_32_mib_past_the_last_ack_stops_numbers_but_not_beats() -> None:
    sender = a_streaming_sender()
    assert sender.room == 32 * MIB
    fill(sender, 32)
    assert sender.room == 0
    with pytest.raises(LocalProtocolError):
        sender.send_numbers(b"5\n", 1, START)
    for second in range(1, 10):
        sender.receive_data(b"#ack offset=0\n", START + second)
        sender.handle_timer(START + second)
        assert len(beats_in(sent(sender))) == 1


def test_window_opens_by_what_is_acked_and_no_more() -> None:
    sender = a_streaming_sender()
    fill(sender, 20)
    sender.send_final_beat(START)
    assert sender.room == 12 * MIB
    sender.receive_data(b"#ack offset=%d\n" % (16 * COUNT), START)  # the beat at 8 MiB
    assert sender.room == 20 * MIB
    sender.receive_data(b"#ack offset=%d\n" % (20 * COUNT), START)  # between two beats: not before the next one
    assert sender.room == 20 * MIB
    sender.receive_data(b"#ack offset=%d\n" % sender.offset, START)
    assert sender.room == 32 * MIB


def test_window_is_shut_while_no_stream_is_agreed() -> None:
    assert Sender(producer="p", heartbeat=1.0, now=START).room == 0
    sender = a_streaming_sender()
    sender.close(Reason.SHUTDOWN)
    assert sender.room == 0


# ---- acks ------------------------------------------------------------------------------------------------------------


def test_ack_t_of_a_repeated_ack_tells_no_round_trip() -> None:
    assert a_streaming_sender(7).receive_data(b"#ack offset=7\n", START) == [Acknowledged(7, None)]


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


def test_words_a_second_are_bounded_and_a_flood_of_acks_is_too_long() -> None:
    sender = a_streaming_sender()
    ack = b"#ack offset=0\n"
    assert len(sender.receive_data(ack * MAX_WORDS_A_SECOND, START)) == MAX_WORDS_A_SECOND
    assert len(sender.receive_data(ack * MAX_WORDS_A_SECOND, START + 1)) == MAX_WORDS_A_SECOND
    assert reason_of_close(sender.receive_data(ack * 2, START + 1.9)) is Reason.TOO_LONG


def test_words_a_second_are_bounded_and_a_flood_of_waits_is_too_long_though_all_are_answered() -> None:
    sender = an_opened_sender()
    for _ in range(MAX_WORDS_A_SECOND):
        assert sender.receive_data(b"#wait\n", START) == [Waited()]
        assert sent(sender) == b"#wait\n"
    assert reason_of_close(sender.receive_data(b"#wait\n", START)) is Reason.TOO_LONG


def test_answers_that_a_worker_does_not_read_are_few_and_then_too_long() -> None:
    sender = an_opened_sender()
    for _ in range(MAX_UNWRITTEN_ANSWERS):
        assert sender.receive_data(b"#wait\n", START) == [Waited()]
    assert reason_of_close(sender.receive_data(b"#wait\n", START)) is Reason.TOO_LONG


def test_words_a_second_are_acks_and_waits_together() -> None:
    sender = an_opened_sender()
    sender.receive_data(b"#wait\n", START)
    sender.receive_data(b"#resume offset=0\n", START)
    events = sender.receive_data(b"#ack offset=0\n" * MAX_WORDS_A_SECOND, START)
    assert events[:-1] == [Acknowledged(0, None)] * (MAX_WORDS_A_SECOND - 1)
    assert reason_of_close(events) is Reason.TOO_LONG
