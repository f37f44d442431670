"""The rules of "Numbers and beats", and the window."""

from __future__ import annotations

import pytest
from tests.protocol.network import (
    START,
    a_streaming_receiver,
    a_streaming_sender,
    beat_line,
    number_lines,
    reason_of_close,
    reference_crc,
    sent,
)

from randstream.errors import LocalProtocolError, Reason
from randstream.protocol.events import Acknowledged, Proved
from randstream.protocol.frames import Beat, Numbers, crc32c
from randstream.protocol.sender import Sender

MIB = 2**20
HALF_MIB_OF_NUMBERS = b"1234567\n" * (MIB // 16)
COUNT = MIB // 16


def beats_in(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines() if line.startswith(b"#beat")]


def fill(sender: Sender, mib: int, now: float = START) -> bytes:
    for _ in range(2 * mib):
        sender.send_numbers(HALF_MIB_OF_NUMBERS, COUNT, now)
    return sent(sender)


def test_implied_offset_counts_from_the_opening_beat_on_both_ends() -> None:
    sender, receiver = a_streaming_sender(1200), a_streaming_receiver(1200)
    sender.send_numbers(number_lines(1200, 30), 30, START)
    (numbers,) = receiver.receive_data(sent(sender), START)
    assert numbers == Numbers(number_lines(1200, 30), 30)
    assert sender.offset == receiver.offset == 1230


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


def test_beat_period_is_not_stretched_by_a_late_timer_nor_caught_up_by_a_burst() -> None:
    sender = a_streaming_sender(now=0.0)
    sender.handle_timer(1.2)
    assert sender.deadline == 2.0
    sender.receive_data(b"#ack offset=0\n", 7.3)
    sender.handle_timer(7.3)
    assert len(beats_in(sent(sender))) == 2
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


def beat_line_of(offset: int, numbers: bytes) -> bytes:
    """`beat_line` for megabytes: with the library's checksum, which another test checks."""
    return b"#beat offset=%d crc=%08x t=1\n" % (offset, crc32c(numbers))


def test_beat_every_8_mib_holds_for_one_run_too() -> None:
    with pytest.raises(LocalProtocolError):
        a_streaming_sender().send_numbers(17 * HALF_MIB_OF_NUMBERS, 17 * COUNT, START)


def test_beat_checks_the_offset_and_the_crc_of_all_number_bytes_since_the_last_beat() -> None:
    sender, receiver = a_streaming_sender(5), a_streaming_receiver(5)
    for first, count in ((5, 3), (8, 0), (8, 40)):
        run = number_lines(first, count)
        if count:
            sender.send_numbers(run, count, START)
        sender.send_final_beat(START)
        data = sent(sender)
        line = beats_in(data)[0].rpartition(b" ")[0]
        assert line == b"#beat offset=%d crc=%08x" % (first + count, reference_crc(run))
        (*numbers, proved) = receiver.receive_data(data, START)
        assert isinstance(proved, Proved)
        assert proved.beat.offset == first + count
        assert b"".join(event.lines for event in numbers) == run


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


def test_beat_t_is_the_producers_clock_and_gives_the_round_trip() -> None:
    sender = a_streaming_sender(now=10.0)
    sender.handle_timer(11.0)
    (t,) = [line.rpartition(b"t=")[2] for line in beats_in(sent(sender))]
    (acked,) = sender.receive_data(b"#ack offset=0 t=%s\n" % t, 11.25)
    assert acked == Acknowledged(0, pytest.approx(0.25))


def test_beat_t_that_was_never_sent_gives_no_round_trip() -> None:
    sender = a_streaming_sender(now=10.0)
    assert sender.receive_data(b"#ack offset=0 t=%s\n" % (b"9" * 20), 11.0) == [Acknowledged(0, None)]


@pytest.mark.parametrize("t", ["0", "007", "9" * 20])
def test_beat_t_is_any_1_to_20_digits_and_comes_back_as_it_was(t: str) -> None:
    receiver = a_streaming_receiver()
    assert receiver.receive_data(beat_line(0, t=t), START) == [Proved(Beat(0, 0, t))]
    assert sent(receiver) == b"#ack offset=0 t=%s\n" % t.encode()


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
    for offset in range(1, 65_537):
        events = receiver.receive_data(b"5\n" + beat_line_of(offset, b"5\n"), START)
    assert isinstance(events[-1], Proved)
    assert reason_of_close(receiver.receive_data(b"5\n" + beat_line_of(65_537, b"5\n"), START)) is Reason.TOO_LONG


def test_window_is_shut_while_no_stream_is_agreed() -> None:
    assert Sender(producer="p", heartbeat=1.0, now=START).room == 0
    sender = a_streaming_sender()
    sender.close(Reason.SHUTDOWN)
    assert sender.room == 0


def test_last_number_may_be_sent_and_none_after_it() -> None:
    sender, receiver = a_streaming_sender(2**63 - 3), a_streaming_receiver(2**63 - 3)
    sender.send_numbers(b"52\n78\n", 2, START)
    with pytest.raises(LocalProtocolError):
        sender.send_numbers(b"5\n", 1, START)
    sender.send_final_beat(START)
    _, proved = receiver.receive_data(sent(sender), START)
    assert isinstance(proved, Proved)
    assert proved.beat.offset == 2**63 - 1
    events = receiver.receive_data(b"5\n", START)
    assert len(events) == 1
    assert reason_of_close(events) is Reason.MALFORMED
