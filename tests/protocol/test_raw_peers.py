"""The rules of "Raw peers" that the core keeps: programs that send number lines and know no protocol."""

from __future__ import annotations

from tests.protocol.network import START, a_receiver, a_streaming_receiver, beat_line, open_line, reason_of_close, sent

from randstream.errors import Reason
from randstream.protocol.frames import Numbers
from randstream.protocol.receiver import Receiver
from randstream.protocol.states import State


def a_raw_receiver() -> Receiver:
    receiver = a_receiver(accepts_raw=True)
    assert receiver.receive_data(b"1\n", START) == [Numbers(b"1\n", 1)]
    return receiver


def test_raw_source_is_taken_if_its_first_line_is_a_number() -> None:
    receiver = a_receiver(accepts_raw=True)
    assert receiver.receive_data(b"1\n2\n3", START) == [Numbers(b"1\n2\n", 2)]
    assert receiver.state is State.RAW
    assert receiver.receive_data(b"4\n", START) == [Numbers(b"34\n", 1)]


def test_raw_source_is_malformed_to_a_worker_that_does_not_accept_it() -> None:
    receiver = a_receiver()
    events = receiver.receive_data(b"1\n2\n", START)
    assert len(events) == 1
    assert reason_of_close(events) is Reason.MALFORMED


def test_raw_source_leaves_the_offset_untouched() -> None:
    receiver = a_raw_receiver()
    assert receiver.offset is None
    assert receiver.acked_offset is None


def test_raw_source_is_told_nothing_after_hello() -> None:
    receiver = a_raw_receiver()
    receiver.handle_timer(START + 50)
    assert sent(receiver) == b""


def test_raw_source_drops_a_last_line_without_lf() -> None:
    receiver = a_raw_receiver()
    assert receiver.receive_data(b"2\n31", START) == [Numbers(b"2\n", 1)]
    assert receiver.receive_data(b"", START) == []


def test_raw_source_cannot_turn_into_a_stream_nor_a_stream_into_it() -> None:
    for line in (open_line(), beat_line(1), b"#wait\n"):
        assert reason_of_close(a_raw_receiver().receive_data(line, START)) is Reason.MALFORMED
    accepting = a_receiver(accepts_raw=True)
    accepting.receive_data(open_line(), START)
    assert reason_of_close(accepting.receive_data(b"1\n", START)) is Reason.MALFORMED


def test_raw_source_may_still_be_a_producer() -> None:
    accepting = a_receiver(accepts_raw=True)
    accepting.receive_data(open_line(), START)
    assert accepting.state is State.WAITING


def test_raw_source_knows_no_window_and_no_interval() -> None:
    receiver = a_raw_receiver()
    run = b"1234567\n" * 2**17
    for _ in range(40):
        assert receiver.receive_data(run, START) == [Numbers(run, 2**17)]


def test_raw_source_is_judged_line_by_line_like_any_other() -> None:
    assert reason_of_close(a_raw_receiver().receive_data(b"GET / HTTP/1.1\r\n", START)) is Reason.MALFORMED
    assert reason_of_close(a_raw_receiver().receive_data(b"1" * 64, START)) is Reason.TOO_LONG


def test_raw_source_silence_of_60_s_ends_it_and_any_byte_puts_that_off() -> None:
    receiver = a_raw_receiver()
    assert receiver.deadline == START + 60
    assert receiver.handle_timer(START + 59.99) == []
    receiver.receive_data(b"2", START + 59.99)
    assert receiver.handle_timer(START + 119.9) == []
    assert reason_of_close(receiver.handle_timer(START + 120)) is Reason.TIMEOUT
    assert a_streaming_receiver().deadline < START + 60
