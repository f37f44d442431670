"""The pace of a worker's words: a flood of beats is answered within the limit, anything less at once."""

from __future__ import annotations

from collections import deque

from randstream.protocol import MAX_WORDS_A_SECOND
from randstream.protocol.frames import Ack, Beat, Open, Resume, Wait, encode, parse_control_line
from randstream.protocol.receiver import Receiver

OFFER = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "producer-0", 1.0)
START = 1000.0


def a_waiting_receiver() -> Receiver:
    receiver = Receiver("worker-0", now=START)
    receiver.receive_data(encode(OFFER), START)
    receiver.data_to_send()
    return receiver


def a_streaming_receiver() -> Receiver:
    receiver = a_waiting_receiver()
    receiver.resume(Resume(0), START)
    receiver.receive_data(encode(Beat(0, 0, "0")), START)
    receiver.data_to_send()
    return receiver


def written(receiver: Receiver) -> list[object]:
    lines = b"".join(bytes(each) for each in receiver.data_to_send()).splitlines()
    return [parse_control_line(line) for line in lines]


def most_in_a_second(times: list[float]) -> int:
    recent: deque[float] = deque()
    most = 0
    for time in times:
        recent.append(time)
        while recent[0] <= time - 1.0:
            recent.popleft()
        most = max(most, len(recent))
    return most


def test_words_a_second_are_kept_however_many_beats_come() -> None:
    receiver = a_streaming_receiver()
    times, last, now = [], None, START
    for beat in range(1, 20_001):
        now = START + beat * 0.0005
        while receiver.deadline <= now:
            due = receiver.deadline
            receiver.handle_timer(due)
            for ack in written(receiver):
                times.append(due)
                last = ack
        receiver.receive_data(encode(Beat(0, 0, str(beat))), now)
        for ack in written(receiver):
            times.append(now)
            last = ack
    assert most_in_a_second(times) <= MAX_WORDS_A_SECOND * 3 / 4
    assert len(times) > 4_000  # ten seconds of half the limit
    if last != Ack(0, "20000"):
        receiver.handle_timer(receiver.deadline)
        assert written(receiver) == [Ack(0, "20000")]
        assert receiver.deadline > now + 0.1


def test_words_a_second_hold_nothing_up_at_a_beat_each_4_ms() -> None:
    receiver = a_streaming_receiver()
    for beat in range(1, 5_001):
        now = START + beat * 0.004
        receiver.receive_data(encode(Beat(0, 0, str(beat))), now)
        assert written(receiver) == [Ack(0, str(beat))]


def test_words_a_second_hold_nothing_up_of_200_at_once_after_a_rest() -> None:
    receiver = a_streaming_receiver()
    for burst in range(1, 5):
        for beat in range(200):
            receiver.receive_data(encode(Beat(0, 0, str(beat))), START + burst)
            assert written(receiver) == [Ack(0, str(beat))]


def test_words_a_second_leave_the_newest_ack_to_wait_and_an_unread_one_sets_no_timer() -> None:
    receiver = a_streaming_receiver()
    for beat in range(1, 1_001):
        receiver.receive_data(encode(Beat(0, 0, str(beat))), START)
        receiver.data_to_send()
    due = receiver.deadline
    assert START < due < START + 0.01
    assert written(receiver) == []
    receiver.handle_timer(due)
    assert receiver.deadline > START + 1  # what the socket does not take yet waits for the socket, not for the time
    assert written(receiver) == [Ack(0, "1000")]


def test_words_a_second_hold_for_asks_too() -> None:
    receiver = a_waiting_receiver()
    asked = 0
    for _ in range(10_000):
        receiver.ask(Wait("producer-1", 5), 1.0, START)
        asked += len(written(receiver))
    assert asked <= MAX_WORDS_A_SECOND // 4 + 1
    assert receiver.owed_answers == asked
