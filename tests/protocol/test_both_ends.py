"""A sender and a receiver together: what one says is what the other takes it to mean."""

from __future__ import annotations

import tracemalloc

import pytest
from tests.protocol.network import (
    DISTRIBUTION,
    START,
    STREAM,
    WORKER,
    a_streaming_receiver,
    a_streaming_sender,
    an_opened_receiver,
    an_opened_sender,
    number_lines,
    reason_of_close,
    reference_crc,
    sent,
)

from randstream.errors import LocalProtocolError, Reason
from randstream.protocol.events import Acknowledged, Greeted, Opened, Proved, Resumed
from randstream.protocol.frames import Numbers, Open
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender


def beats_in(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines() if line.startswith(b"#beat")]


EXAMPLE = """\
worker      #hello randstream/1 worker=worker-0
producer    #open worker=worker-0 stream=6ae2a63a0ac05109 numbers=integers:1:100 \
producer=producer-0 heartbeat=1.0 check=fc1751bd
worker      #resume offset=1200
producer    #beat offset=1200 crc=00000000 t=1
worker      #ack offset=1200 t=1
producer    52
producer    78
producer    #beat offset=1202 crc=b1325618 t=2
worker      #ack offset=1202 t=2
"""


def test_the_example_exchange_of_the_specification_is_met_byte_for_byte() -> None:
    first, second = 1e-6, 2e-6  # the producer's `t` is its clock in microseconds
    said = ""

    def take(end: Sender | Receiver) -> bytes:
        nonlocal said
        data = sent(end)
        who = "producer" if isinstance(end, Sender) else "worker"
        said += "".join(f"{who:12}{line}" for line in data.decode().splitlines(keepends=True))
        return data

    sender = Sender(producer="producer-0", heartbeat=1.0, now=first)
    receiver = Receiver(WORKER, now=first)
    assert sender.receive_data(take(receiver), first) == [Greeted(WORKER)]
    sender.open(STREAM, DISTRIBUTION, first_offset=0, now=first)
    (opened,) = receiver.receive_data(take(sender), first)
    assert opened == Opened(Open(WORKER, STREAM, DISTRIBUTION, "producer-0", 1.0))
    receiver.resume(1200, first)
    sender.receive_data(take(receiver), first)
    receiver.receive_data(take(sender), first)
    sender.receive_data(take(receiver), first)
    sender.send_numbers(b"52\n", 1, first)
    sender.send_numbers(b"78\n", 1, first)
    sender.send_final_beat(second)
    receiver.receive_data(take(sender), second)
    receiver.acknowledge(1202, second)
    sender.receive_data(take(receiver), second)
    assert said == EXAMPLE
    assert sender.is_settled


@pytest.mark.parametrize("offset", [0, 1, 1200, 2**63 - 1])
def test_resume_names_the_offset_and_the_producer_starts_there(offset: int) -> None:
    receiver = an_opened_receiver()
    receiver.resume(offset, START)
    line = sent(receiver)
    assert line == b"#resume offset=%d\n" % offset
    sender = an_opened_sender(first_offset=77)
    assert sender.receive_data(line, START) == [Resumed(offset)]
    assert sender.offset == offset


def test_implied_offset_counts_from_the_opening_beat_on_both_ends() -> None:
    sender, receiver = a_streaming_sender(1200), a_streaming_receiver(1200)
    sender.send_numbers(number_lines(1200, 30), 30, START)
    (numbers,) = receiver.receive_data(sent(sender), START)
    assert numbers == Numbers(number_lines(1200, 30), 30)
    assert sender.offset == receiver.offset == 1230


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
        *numbers, proved = receiver.receive_data(data, START)
        assert isinstance(proved, Proved)
        assert proved.beat.offset == first + count
        assert b"".join(event.lines for event in numbers if isinstance(event, Numbers)) == run


def test_beats_that_move_nothing_are_not_piled_up_at_either_end_while_the_sink_is_stalled() -> None:
    sender, receiver = a_streaming_sender(), a_streaming_receiver()
    sender.send_numbers(b"5\n", 1, START)
    beat(sender, receiver, 0)
    tracemalloc.start()
    try:
        for second in range(1, 1000):
            beat(sender, receiver, second)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000  # a kept beat takes a hundred bytes and more
    receiver.acknowledge(1, START + 1000)
    (acked,) = sender.receive_data(sent(receiver), START + 1000.5)
    assert isinstance(acked, Acknowledged)
    assert acked.offset == 1
    assert acked.round_trip == pytest.approx(1.5)


def beat(sender: Sender, receiver: Receiver, second: int) -> None:
    sender.send_final_beat(START + second)
    receiver.receive_data(sent(sender), START + second)


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
