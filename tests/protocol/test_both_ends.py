"""A sender and a receiver together: what one says is what the other takes it to mean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.protocol.network import (
    DISTRIBUTION,
    START,
    WORKER,
    a_receiver,
    a_streaming_receiver,
    a_streaming_sender,
    an_opened_receiver,
    an_opened_sender,
    number_lines,
    open_line,
    reason_of_close,
    reference_crc,
    sent,
)
from tests.support.memory import traced
from tests.support.stream import stream

from randstream.errors import LocalProtocolError, Reason
from randstream.protocol.end import End
from randstream.protocol.events import Acknowledged, Event, Greeted, Opened, Proved, Resumed, Waited
from randstream.protocol.frames import Numbers, Resume, Wait
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender


def beats_in(data: bytes) -> list[bytes]:
    return [line for line in data.splitlines() if line.startswith(b"#beat")]


PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```\n(worker      #hello .*?)```\n", PAGE, re.DOTALL)
FIRST, SECOND = 1e-6, 2e-6
"""The producer's `t` is its clock in microseconds."""


def said_in(example: str) -> list[str]:
    """The lines of one of the page's conversations, without its notes."""
    lines = [line.partition(" <- ")[0].rstrip() for line in example.splitlines()]
    return [line for line in lines if line != "            ..."]


class Conversation:
    """A sender and a receiver, and who said what, written as the page does."""

    def __init__(self, producer: str, instance: str) -> None:
        self.sender = Sender(producer=producer, heartbeat=1.0, now=FIRST, instance=instance)
        self.receiver = Receiver(WORKER, now=FIRST)
        self.said: list[str] = []

    def worker_says(self, now: float) -> list[Event]:
        """Let the sender hear what the receiver has to say."""
        return self.sender.receive_data(self._take("worker", self.receiver), now)

    def producer_says(self, now: float) -> list[Event]:
        return self.receiver.receive_data(self._take("producer", self.sender), now)

    def open(self) -> None:
        assert self.worker_says(FIRST) == [Greeted(WORKER)]
        self.sender.open(stream().id, DISTRIBUTION, first_offset=0, now=FIRST)
        (opened,) = self.producer_says(FIRST)
        assert isinstance(opened, Opened)

    def stream_from(self, offset: int) -> None:
        """All from the opening beat to the ack of two numbers."""
        self.producer_says(FIRST)
        self.worker_says(FIRST)
        for n in (offset, offset + 1):
            self.sender.send_numbers(stream().lines(n, 1), 1, FIRST)
        self.sender.send_final_beat(SECOND)
        self.producer_says(SECOND)
        self.receiver.acknowledge(offset + 2, SECOND)
        self.worker_says(SECOND)
        assert self.sender.is_settled

    def _take(self, who: str, end: End) -> bytes:
        data = sent(end)
        self.said += [f"{who:12}{line}" for line in data.decode().splitlines()]
        return data


def test_the_example_exchange_of_the_specification_is_met_byte_for_byte() -> None:
    talk = Conversation("producer-0", "5f0c8e2b94d1a637")
    talk.open()
    talk.receiver.resume(Resume(1200, "start"), FIRST)
    assert talk.worker_says(FIRST) == [Resumed(1200, "start")]
    talk.stream_from(1200)
    talk.sender.close(Reason.SHUTDOWN)
    assert reason_of_close(talk.producer_says(SECOND)) is Reason.SHUTDOWN
    assert talk.said == said_in(EXAMPLES[0])


def test_the_standby_of_the_specification_is_met_byte_for_byte() -> None:
    talk = Conversation("producer-1", "c3a81d4e7b2096f5")
    talk.open()
    talk.receiver.ask(Wait("producer-0", 1202), 1.0, FIRST)
    assert talk.worker_says(FIRST) == [Waited("producer-0", 1202)]
    assert talk.producer_says(FIRST) == []
    talk.receiver.resume(Resume(1202, "promotion"), FIRST)
    assert talk.worker_says(FIRST) == [Resumed(1202, "promotion")]
    talk.stream_from(1202)
    talk.receiver.close(Reason.YIELD)
    assert reason_of_close(talk.worker_says(SECOND)) is Reason.YIELD
    assert talk.said == said_in(EXAMPLES[1])


def test_instance_is_neither_shown_in_the_offer_nor_anywhere_else() -> None:
    receiver = a_receiver()
    (opened,) = receiver.receive_data(open_line(instance="5f0c8e2b94d1a637"), START)
    assert isinstance(opened, Opened)
    assert opened.offered.instance == "5f0c8e2b94d1a637"
    assert "5f0c" not in repr(opened)


@pytest.mark.parametrize("offset", [0, 1, 1200, 2**63 - 1])
def test_resume_names_the_offset_and_the_producer_starts_there(offset: int) -> None:
    receiver = an_opened_receiver()
    receiver.resume(Resume(offset), START)
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
    with traced("protocol") as held:
        for second in range(1, 1000):
            beat(sender, receiver, second)
        assert held() < 50_000  # a thousand kept beats take a hundred bytes each, and more
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
