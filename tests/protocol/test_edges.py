"""The edges that the page names: what is unfinished, what may come at once, where a stream ends."""

from __future__ import annotations

from randstream.errors import Reason
from randstream.protocol import MAX_INTERVAL_BYTES, MAX_OFFSET
from randstream.protocol.events import Closed, Proved, Started
from randstream.protocol.frames import Beat, Numbers, Open, Resume, crc32c, encode
from randstream.protocol.receiver import Receiver

OFFER = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "producer-0", 1.0)


def a_resumed_receiver(offset: int = 0) -> Receiver:
    receiver = Receiver("worker-0", now=0.0)
    receiver.receive_data(encode(OFFER), 0.0)
    receiver.resume(Resume(offset, "start"), 0.0)
    return receiver


def test_unfinished_line_counts_towards_no_limit_but_its_own() -> None:
    receiver = a_resumed_receiver()
    receiver.receive_data(encode(Beat(0, 0, "0")), 0.0)
    most = b"1234567\n" * (MAX_INTERVAL_BYTES // 8)
    events = receiver.receive_data(most + b"1" * 63, 0.0)
    assert [event.count for event in events if isinstance(event, Numbers)] == [MAX_INTERVAL_BYTES // 8]
    (closed,) = receiver.receive_data(b"\n", 0.0)
    assert isinstance(closed, Closed)
    assert receiver.offset == MAX_INTERVAL_BYTES // 8 + 1


def test_unfinished_line_at_the_end_is_no_number() -> None:
    receiver = a_resumed_receiver()
    receiver.receive_data(encode(Beat(0, 0, "0")) + b"52\n7", 0.0)
    assert receiver.offset == 1


def test_numbers_at_once_after_the_opening_beat_need_no_ack_of_it() -> None:
    receiver = a_resumed_receiver(7)
    lines = b"52\n78\n"
    beat = Beat(9, crc32c(lines), "2")
    events = receiver.receive_data(encode(Beat(7, 0, "1")) + lines + encode(beat), 0.0)
    assert events == [Started(7), Numbers(lines, 2), Proved(beat)]


def test_last_number_is_followed_by_beats_and_acks_and_by_no_number() -> None:
    receiver = a_resumed_receiver(MAX_OFFSET)
    receiver.data_to_send()
    for now in (0.0, 1.0):
        receiver.receive_data(encode(Beat(MAX_OFFSET, 0, "1")), now)
        assert receiver.data_to_send() == [b"#ack offset=%d t=1\n" % MAX_OFFSET]
    (closed,) = receiver.receive_data(b"52\n", 1.0)
    assert isinstance(closed, Closed)
    assert getattr(closed.error, "reason", None) is Reason.MALFORMED


def test_control_line_holds_no_control_character_not_even_in_an_unknown_key() -> None:
    for byte in (*range(32), *range(127, 256)):
        if byte != 10:
            receiver = a_resumed_receiver()
            line = b"#beat offset=0 crc=00000000 t=1 colour=a%c\n" % byte
            (closed,) = receiver.receive_data(line, 0.0)
            assert isinstance(closed, Closed), byte
            assert getattr(closed.error, "reason", None) is Reason.MALFORMED


def test_crc32c_is_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283
