"""The rules of "Handshake"."""

from __future__ import annotations

import pytest
from tests.protocol.network import (
    DISTRIBUTION,
    HELLO,
    START,
    STREAM,
    WORKER,
    ProducerModel,
    a_receiver,
    a_resumed_receiver,
    a_sender,
    an_opened_receiver,
    an_opened_sender,
    beat_line,
    open_line,
    reason_of_close,
    sent,
)

from randstream.errors import Reason
from randstream.protocol.events import Closed, Greeted, Opened, Resumed, Started, Waited
from randstream.protocol.frames import Open
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender
from randstream.protocol.states import State

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


def test_hello_first_is_sent_at_once_and_unasked() -> None:
    assert sent(Receiver("worker-7", now=START)) == b"#hello randstream/1 worker=worker-7\n"
    assert sent(a_sender()) == b""


def test_open_names_the_worker_that_hello_named() -> None:
    sender = a_sender()
    assert sender.receive_data(b"#hello randstream/1 worker=worker-7\n", START) == [Greeted("worker-7")]
    sender.open(STREAM, DISTRIBUTION, first_offset=0, now=START)
    assert sent(sender) == open_line(worker="worker-7")


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


def test_hello_version_that_a_producer_does_not_speak_is_closed_with_version() -> None:
    sender = a_sender()
    events = sender.receive_data(b"#hello randstream/2 worker=worker-0\n", START)
    assert reason_of_close(events) is Reason.VERSION
    assert sent(sender) == b"#close reason=version\n"


def test_wait_once_a_heartbeat_from_open_to_resume() -> None:
    receiver = an_opened_receiver(heartbeat="2.0")
    receiver.wait(START)
    assert sent(receiver) == b"#wait\n"
    for heartbeat in range(1, 50):
        due = START + 2.0 * heartbeat
        assert receiver.deadline == due
        receiver.handle_timer(due - 0.01)
        assert sent(receiver) == b""
        receiver.handle_timer(due)
        assert sent(receiver) == b"#wait\n"
    receiver.resume(7, due)
    receiver.handle_timer(due + 2.0)
    assert sent(receiver) == b"#resume offset=7\n"


def test_wait_once_a_heartbeat_comes_by_itself_when_the_sink_takes_long_to_open() -> None:
    receiver = an_opened_receiver(heartbeat="2.0")
    assert sent(receiver) == b""
    receiver.handle_timer(receiver.deadline)
    assert sent(receiver) == b"#wait\n"
    assert receiver.deadline == START + 4.0


def test_wait_once_a_heartbeat_is_not_queued_twice_nor_after_resume() -> None:
    receiver = an_opened_receiver()
    receiver.wait(START)
    receiver.handle_timer(receiver.deadline)
    assert sent(receiver) == b"#wait\n"
    receiver.wait(START + 1)
    receiver.resume(7, START + 1)
    assert sent(receiver) == b"#resume offset=7\n"


def test_handshake_limit_is_5_s_for_a_worker_that_says_nothing() -> None:
    sender = a_sender(heartbeat=60.0)
    assert sender.deadline == START + 5
    assert sender.handle_timer(START + 4.99) == []
    assert reason_of_close(sender.handle_timer(START + 5)) is Reason.TIMEOUT
    assert sent(sender) == b"#close reason=timeout\n"


def test_handshake_limit_is_5_s_for_a_producer_that_says_nothing() -> None:
    receiver = a_receiver()
    assert receiver.deadline == START + 5
    assert receiver.handle_timer(START + 4.99) == []
    assert reason_of_close(receiver.handle_timer(START + 5)) is Reason.TIMEOUT


def test_handshake_limit_is_not_put_off_by_dribbled_bytes() -> None:
    for end, line in ((a_sender(), HELLO), (a_receiver(), open_line())):
        for at in range(25):
            assert end.receive_data(line[at : at + 1], START + at / 5) == []
            assert end.handle_timer(START + at / 5) == []
        assert end.deadline == START + 5
        assert reason_of_close(end.handle_timer(START + 5)) is Reason.TIMEOUT


def test_handshake_limit_of_the_worker_ends_at_open_however_long_its_sink_takes() -> None:
    receiver = an_opened_receiver()
    for second in range(1, 300):
        assert receiver.handle_timer(START + second) == []
    receiver.resume(0, START + 300)
    assert receiver.state is State.PROVING


def test_handshake_limit_of_the_producer_does_not_end_a_link_that_is_told_to_wait() -> None:
    sender = an_opened_sender()
    for second in range(1, 300):
        assert sender.handle_timer(START + second) == []
        assert sender.receive_data(b"#wait\n", START + second) == [Waited()]
    assert sender.receive_data(b"#resume offset=7\n", START + 300) == [Resumed(7)]


def test_handshake_limit_of_the_producer_gives_way_to_three_heartbeats_at_open() -> None:
    sender = an_opened_sender(heartbeat=1.0)
    assert reason_of_close(sender.handle_timer(START + 3.0)) is Reason.TIMEOUT


@pytest.mark.parametrize("offset", [0, 1, 1200, 2**63 - 1])
def test_resume_names_the_offset_and_the_producer_starts_there(offset: int) -> None:
    receiver = an_opened_receiver()
    receiver.resume(offset, START)
    line = sent(receiver)
    assert line == b"#resume offset=%d\n" % offset
    sender = an_opened_sender(first_offset=77)
    assert sender.receive_data(line, START) == [Resumed(offset)]
    assert sender.offset == offset


def test_resume_without_an_offset_lets_the_producer_choose() -> None:
    receiver = an_opened_receiver()
    receiver.resume(None, START)
    assert sent(receiver) == b"#resume\n"


def test_opening_beat_comes_right_after_resume_with_the_offset_and_the_crc_of_nothing() -> None:
    sender = an_opened_sender(now=0.0)
    sender.receive_data(b"#resume offset=1200\n", 0.5)
    assert sent(sender) == b"#beat offset=1200 crc=00000000 t=500000\n"


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
