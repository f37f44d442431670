"""The rules of "The line" that the core keeps: when to ask, what an answer counts for, what a standby knows."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from tests.protocol.network import (
    START,
    a_receiver,
    a_resumed_receiver,
    a_sender,
    a_streaming_receiver,
    a_streaming_sender,
    a_waiting_sender,
    an_asking_receiver,
    an_opened_receiver,
    an_opened_sender,
    beat_line,
    open_line,
    reason_of_close,
    sent,
)

from randstream.errors import Reason
from randstream.protocol.events import AskDue, Closed, Event, Greeted, Opened, Resumed, Started, Waited
from randstream.protocol.frames import Resume, Wait
from randstream.protocol.rank import rank
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender
from randstream.protocol.states import State

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
INSTANCE = "5f0c8e2b94d1a637"

# ---- rank ------------------------------------------------------------------------------------------------------------

RANKS = re.findall(r"^ *\| `(worker-\d)` \| `(\w{16})` \| `(\w{16})` \| `(\w{16})` \| (.+) \|$", PAGE, re.MULTILINE)


def test_rank_table_of_the_page_is_read() -> None:
    assert [worker for worker, *_ in RANKS] == ["worker-0", "worker-1", "worker-2"]


@pytest.mark.parametrize(("worker", "first", "second", "third", "order"), RANKS)
def test_rank_is_what_the_known_answers_of_the_page_say(
    worker: str, first: str, second: str, third: str, order: str
) -> None:
    ranks = {n: rank(worker, f"producer-{n}") for n in range(3)}
    assert [f"{ranks[n]:016x}" for n in range(3)] == [first, second, third]
    assert sorted(ranks, key=lambda n: ranks[n], reverse=True) == [int(n) for n in order.split(", ")]


def test_rank_keeps_the_two_names_apart() -> None:
    names = ["a", "b", "ab", "a-b"]
    assert len({rank(worker, producer) for worker, producer in itertools.product(names, names)}) == len(names) ** 2


# ---- instance --------------------------------------------------------------------------------------------------------


def test_instance_is_optional_and_told_to_whoever_decides() -> None:
    for instance in (None, INSTANCE):
        (opened,) = a_receiver().receive_data(open_line(instance=instance), START)
        assert isinstance(opened, Opened)
        assert opened.offered.instance == instance


def test_instance_of_a_link_is_in_its_open() -> None:
    sender = Sender(producer="producer-0", heartbeat=1.0, now=START, instance=INSTANCE)
    sender.receive_data(b"#hello randstream/1 worker=worker-0\n", START)
    sender.open("6ae2a63a0ac05109", "integers:1:100", first_offset=0, now=START)
    assert sent(sender) == open_line(instance=INSTANCE)


@pytest.mark.parametrize("instance", [INSTANCE[1:], INSTANCE + "0", INSTANCE.upper(), "g" * 16, ""])
def test_instance_is_16_hexadecimal_digits_or_malformed(instance: str) -> None:
    events = a_receiver().receive_data(open_line(instance=instance), START)
    assert [type(event) for event in events] == [Closed]
    assert reason_of_close(events) is Reason.MALFORMED


def test_instance_is_neither_in_the_text_of_an_offer_nor_in_that_of_an_error() -> None:
    (opened,) = a_receiver().receive_data(open_line(instance=INSTANCE), START)
    assert INSTANCE not in repr(opened)
    assert INSTANCE not in str(opened)
    for line in (open_line(instance=INSTANCE), open_line(instance=INSTANCE, worker="worker-1")):
        for damaged in (line, line.replace(b"producer-0", b"producer-1"), line.replace(b"=1.0", b"=0.0")):
            for event in a_receiver().receive_data(damaged, START):
                assert INSTANCE not in repr(event)
                assert not isinstance(event, Closed) or INSTANCE not in str(event.error)


# ---- who is asked ----------------------------------------------------------------------------------------------------


def wait_at_due(receiver: Receiver, wait: Wait, period: float) -> float:
    """Let the next ask become due, and say `wait`; when that was."""
    due = receiver.deadline
    assert receiver.handle_timer(due - 0.001) == []
    assert receiver.handle_timer(due) == [AskDue()]
    receiver.ask(wait, period, due)
    return due


def test_asked_once_in_every_ask_from_open_to_resume() -> None:
    receiver = an_opened_receiver(heartbeat="2.0")
    receiver.ask(Wait("producer-1"), 0.5, START)
    assert sent(receiver) == b"#wait by=producer-1\n"
    for turn in range(1, 50):
        receiver.receive_data(b"#wait\n", receiver.deadline - 0.25)
        assert sent(receiver) == b""
        assert wait_at_due(receiver, Wait("producer-1", turn), 0.5) == START + 0.5 * turn
        assert sent(receiver) == b"#wait by=producer-1 offset=%d\n" % turn
    receiver.resume(Resume(7), START + 25)
    assert receiver.handle_timer(START + 25) == []
    assert sent(receiver) == b"#resume offset=7\n"


def test_asked_for_the_first_time_after_a_heartbeat_if_nobody_asks_before() -> None:
    receiver = an_opened_receiver(heartbeat="2.0")
    assert wait_at_due(receiver, Wait(), 2.0) == START + 2.0
    assert receiver.deadline == START + 4.0


def test_asked_nothing_when_that_is_due_a_standby_is_due_again_after_one_more_ask() -> None:
    receiver = an_asking_receiver(0.25)
    assert receiver.handle_timer(START + 0.25) == [AskDue()]
    assert receiver.deadline == START + 0.5
    assert sent(receiver) == b""


def test_asked_within_a_shorter_time_and_never_later_than_was_due() -> None:
    receiver = an_opened_receiver(heartbeat="2.0")
    receiver.ask_within(3.0, START)
    assert receiver.deadline == START + 2.0
    receiver.ask_within(0.5, START + 1.0)
    assert wait_at_due(receiver, Wait(), 0.5) == START + 1.5
    receiver.resume(Resume(None), START + 1.6)
    receiver.ask_within(0.1, START + 1.6)
    assert receiver.handle_timer(START + 2.0) == []


def test_asked_and_heard_in_one_breath_with_the_end_of_the_connection_is_no_bug_of_ours() -> None:
    for rest in (b"#close reason=shutdown\n", b"#nonsense\n"):
        receiver = a_receiver()
        opened, closed = receiver.receive_data(open_line() + rest, START)
        assert isinstance(opened, Opened)
        assert isinstance(closed, Closed)
        sent(receiver)
        receiver.ask(Wait("producer-1"), 1.0, START)
        assert sent(receiver) == b""
        assert receiver.deadline == float("inf")


def test_asked_is_what_is_told_by_offset_and_stream() -> None:
    sender = an_opened_sender()
    events = sender.receive_data(b"#wait by=producer-1 offset=7 stream=%s\n#wait\n" % (b"0" * 16), START)
    assert events == [Waited("producer-1", 7, "0" * 16), Waited()]


# ---- one answer for each ask -----------------------------------------------------------------------------------------


def test_asked_is_answered_once_for_each_at_once() -> None:
    sender = an_opened_sender()
    for count in (1, 1, 3, 16):
        assert sender.receive_data(b"#wait by=producer-1\n" * count, START) == [Waited("producer-1")] * count
        assert sent(sender) == b"#wait\n" * count
        assert sent(sender) == b""


def test_asked_by_nobody_a_producer_says_nothing() -> None:
    sender = an_opened_sender()
    for tenth in range(1, 30):
        assert sender.handle_timer(START + tenth / 10) == []
    assert sent(sender) == b""


def test_asked_is_counted_and_each_answer_counts_one_off() -> None:
    receiver = an_asking_receiver()
    assert receiver.owed_answers == 1
    wait_at_due(receiver, Wait(), 1.0)
    sent(receiver)
    assert receiver.owed_answers == 2
    assert receiver.receive_data(b"#wait\n", START + 1) == []
    assert receiver.owed_answers == 1
    assert receiver.receive_data(b"#wait\n", START + 1) == []
    assert receiver.owed_answers == 0


def test_asked_nothing_more_an_answer_is_malformed() -> None:
    never_asked = an_opened_receiver()
    assert reason_of_close(never_asked.receive_data(b"#wait\n", START)) is Reason.MALFORMED
    asked_once = an_asking_receiver()
    assert reason_of_close(asked_once.receive_data(b"#wait\n#wait\n", START)) is Reason.MALFORMED
    never_asked_and_resumed = a_resumed_receiver(7)
    assert reason_of_close(never_asked_and_resumed.receive_data(b"#wait\n", START)) is Reason.MALFORMED


def test_asked_counts_once_written_so_an_answer_before_that_is_malformed() -> None:
    receiver = an_opened_receiver()
    receiver.ask(Wait(), 1.0, START)
    assert receiver.owed_answers == 0
    assert reason_of_close(receiver.receive_data(b"#wait\n", START)) is Reason.MALFORMED


def test_asked_again_before_the_last_ask_was_written_replaces_it() -> None:
    receiver = an_opened_receiver()
    receiver.ask(Wait("producer-1", 7), 1.0, START)
    wait_at_due(receiver, Wait("producer-1", 8), 1.0)
    wait_at_due(receiver, Wait("producer-2", 9), 1.0)
    assert sent(receiver) == b"#wait by=producer-2 offset=9\n"
    assert receiver.owed_answers == 1


def test_asked_but_not_in_writing_before_resume_owes_no_answer() -> None:
    receiver = an_opened_receiver()
    receiver.ask(Wait("producer-1"), 1.0, START)
    receiver.resume(Resume(7, "promotion"), START)
    assert sent(receiver) == b"#resume offset=7 after=promotion\n"
    assert receiver.owed_answers == 0
    assert receiver.receive_data(beat_line(7), START) == [Started(7)]


def test_asked_for_the_last_time_before_close_is_still_said() -> None:
    receiver = an_opened_receiver()
    receiver.ask(Wait(), 1.0, START)
    receiver.close(Reason.SHUTDOWN)
    assert sent(receiver) == b"#wait\n#close reason=shutdown\n"


def test_asked_16_times_while_its_socket_is_full_a_producer_keeps_a_count_and_past_that_it_is_too_long() -> None:
    sender = an_opened_sender()
    for _ in range(16):
        assert sender.receive_data(b"#wait\n", START) == [Waited()]
    assert reason_of_close(sender.receive_data(b"#wait\n", START)) is Reason.TOO_LONG
    assert sent(sender).endswith(b"#close reason=too-long\n")


def test_asked_16_times_and_no_more_starts_over_once_the_answers_are_written() -> None:
    sender = an_opened_sender()
    for _ in range(5):
        sender.receive_data(b"#wait\n" * 16, START)
        assert sent(sender) == b"#wait\n" * 16
    assert sender.state is State.WAITING


def test_asked_and_resumed_in_one_read_a_producer_answers_first_and_then_beats() -> None:
    sender = an_opened_sender(now=0.0)
    events = sender.receive_data(b"#wait\n#wait\n#resume offset=7 after=promotion\n", 0.0)
    assert events == [Waited(), Waited(), Resumed(7, "promotion")]
    assert sent(sender) == b"#wait\n#wait\n#beat offset=7 crc=00000000 t=0\n"


def test_asked_and_told_to_stop_a_producer_answers_before_close() -> None:
    sender = an_opened_sender()
    sender.receive_data(b"#wait\n", START)
    sender.close(Reason.SHUTDOWN)
    assert sent(sender) == b"#wait\n#close reason=shutdown\n"


def test_asked_before_resume_the_answers_that_cross_it_are_taken_before_the_opening_beat() -> None:
    receiver = an_asking_receiver()
    wait_at_due(receiver, Wait(), 1.0)
    sent(receiver)
    receiver.resume(Resume(7), START + 1)
    assert receiver.receive_data(b"#wait\n#wait\n" + beat_line(7), START + 1) == [Started(7)]
    assert receiver.owed_answers == 0


def test_asked_before_resume_and_answered_after_the_opening_beat_is_malformed() -> None:
    receiver = an_asking_receiver()
    receiver.resume(Resume(7), START)
    events = receiver.receive_data(beat_line(7) + b"#wait\n", START)
    assert reason_of_close(events) is Reason.MALFORMED


def test_opening_beat_before_an_answer_that_is_owed_is_malformed() -> None:
    receiver = an_asking_receiver()
    receiver.resume(Resume(7), START)
    events = receiver.receive_data(beat_line(7), START)
    assert [type(event) for event in events] == [Closed]
    assert reason_of_close(events) is Reason.MALFORMED


def test_asked_after_resume_a_producer_finds_its_worker_malformed() -> None:
    for resume in (b"#resume offset=7\n", b"#resume\n"):
        sender = an_opened_sender()
        events = sender.receive_data(resume + b"#wait\n", START)
        assert isinstance(events[0], Resumed)
        assert reason_of_close(events) is Reason.MALFORMED
    assert reason_of_close(a_streaming_sender().receive_data(b"#wait\n", START)) is Reason.MALFORMED


# ---- standby-liveness ------------------------------------------------------------------------------------------------


def serve_asks(receiver: Receiver, period: float, until: float) -> list[Event]:
    """Serve its timer whenever it is due, and ask when that is due; what else it reported, if anything, and when."""
    while receiver.deadline <= until:
        now = receiver.deadline
        events = receiver.handle_timer(now)
        if events == [AskDue()]:
            receiver.ask(Wait(), period, now)
        elif events:
            return events
        sent(receiver)
    return []


@pytest.mark.parametrize("period", [0.05, 0.4, 1.0])
def test_standby_liveness_ends_with_timeout_after_three_asks_without_a_byte(period: float) -> None:
    receiver = an_asking_receiver(period)
    assert serve_asks(receiver, period, START + 2.99 * period) == []
    assert reason_of_close(serve_asks(receiver, period, START + 3.01 * period)) is Reason.TIMEOUT


def test_standby_liveness_is_kept_for_ever_by_whoever_answers() -> None:
    receiver = an_asking_receiver(0.5)
    for turn in range(200):
        receiver.receive_data(b"#wait\n", START + 0.5 * turn + 0.1)
        assert serve_asks(receiver, 0.5, START + 0.5 * (turn + 1)) == []
    assert reason_of_close(serve_asks(receiver, 0.5, START + 102)) is Reason.TIMEOUT


def test_standby_liveness_counts_the_producers_own_heartbeat_before_the_first_ask() -> None:
    receiver = an_opened_receiver(heartbeat="2.0")
    assert receiver.silence_deadline == START + 6.0
    receiver.ask(Wait(), 0.5, START)
    assert receiver.silence_deadline == START + 1.5


@pytest.mark.parametrize(("shorter", "deadline"), [(0.05, 1.15), (0.3, 1.9), (0.9, 3.01)])
def test_standby_liveness_with_a_shorter_ask_leaves_time_to_answer_it_and_never_more_than_before(
    shorter: float, deadline: float
) -> None:
    receiver = an_asking_receiver(1.0)
    receiver.receive_data(b"#wait\n", START + 0.01)
    wait_at_due(receiver, Wait(), shorter)
    assert receiver.silence_deadline == pytest.approx(START + deadline, abs=1e-6)
    assert serve_asks(receiver, shorter, START + deadline - 0.001) == []
    assert reason_of_close(serve_asks(receiver, shorter, START + deadline + 0.001)) is Reason.TIMEOUT


def test_standby_liveness_with_a_longer_ask_counts_on_from_the_last_byte() -> None:
    receiver = an_asking_receiver(0.5)
    receiver.receive_data(b"#wait\n", START + 0.25)
    wait_at_due(receiver, Wait(), 2.0)
    assert receiver.silence_deadline == START + 0.25 + 6.0


def test_standby_liveness_is_not_put_off_by_asks_that_come_at_one_pace_and_then_at_another() -> None:
    receiver = an_asking_receiver(1.0)
    for turn in range(12):
        receiver.ask(Wait(), (0.5, 1.0)[turn % 2], START + 0.2 * turn)
        sent(receiver)
        assert receiver.silence_deadline <= START + 3.0
    assert reason_of_close(receiver.handle_timer(START + 3.0)) is Reason.TIMEOUT


def test_standby_liveness_does_not_start_over_at_resume() -> None:
    for offset in (7, None):
        receiver = an_asking_receiver(0.5)
        assert serve_asks(receiver, 0.5, START + 1.4) == []
        receiver.resume(Resume(offset), START + 1.4)
        sent(receiver)
        assert receiver.silence_deadline == START + 1.5
        assert reason_of_close(receiver.handle_timer(START + 1.5)) is Reason.TIMEOUT


def test_standby_liveness_of_whoever_proves_itself_is_kept_by_bytes_and_still_counts_asks() -> None:
    receiver = an_asking_receiver(0.5)
    receiver.resume(Resume(7), START)
    assert receiver.receive_data(b"#wait\n", START + 0.4) == []
    assert receiver.silence_deadline == START + 0.4 + 1.5


def test_standby_liveness_gives_way_to_the_producers_own_heartbeats_at_the_opening_beat() -> None:
    receiver = an_asking_receiver(0.5, heartbeat="2.0")
    receiver.resume(Resume(7), START)
    receiver.receive_data(b"#wait\n", START)
    assert receiver.receive_data(beat_line(7), START + 1) == [Started(7)]
    assert receiver.silence_deadline == START + 1 + 6.0


@pytest.mark.parametrize("is_resumed", [False, True])
def test_late_timer_of_a_standby_is_one_by_more_than_half_an_ask(is_resumed: bool) -> None:
    for late, is_spared in ((0.24, False), (0.26, True)):
        receiver = an_asking_receiver(0.5, heartbeat="2.0")
        if is_resumed:
            receiver.resume(Resume(7), START)
        events = receiver.handle_timer(START + 1.5 + late)
        if is_spared:
            assert not any(isinstance(event, Closed) for event in events)
            assert receiver.silence_deadline == START + 1.5 + late + 0.5
        else:
            assert reason_of_close(events) is Reason.TIMEOUT


def test_silence_of_its_worker_is_three_of_its_own_heartbeats_to_a_producer_that_waits() -> None:
    sender = a_waiting_sender(heartbeat=0.5)
    sender.receive_data(b"#wait\n", START + 1.4)
    assert sender.handle_timer(START + 2.89) == []
    assert reason_of_close(sender.handle_timer(START + 2.9)) is Reason.TIMEOUT


# ---- what a standby knows --------------------------------------------------------------------------------------------


def test_start_offset_is_the_highest_that_a_wait_told_though_wait_and_resume_come_in_one_read() -> None:
    for slices in ([b"#wait offset=1200\n", b"#wait\n", b"#resume\n"], [b"#wait offset=1200\n#wait\n#resume\n"]):
        sender = an_opened_sender(now=0.0, first_offset=7)
        for data in slices:
            sender.receive_data(data, 0.0)
        assert sender.offset == sender.acked_offset == 1200
        assert sent(sender).endswith(b"#beat offset=1200 crc=00000000 t=0\n")


def test_start_offset_is_never_lowered_by_a_wait() -> None:
    sender = an_opened_sender(first_offset=1300)
    sender.receive_data(b"#wait offset=1200\n#wait offset=0\n#resume\n", START)
    assert sender.offset == 1300


def test_start_offset_of_a_worker_that_names_one_is_that_whatever_was_told_in_a_wait() -> None:
    sender = an_opened_sender(first_offset=7)
    assert sender.receive_data(b"#wait offset=1200\n#resume offset=1100\n", START)[-1] == Resumed(1100)
    assert sender.offset == 1100


@pytest.mark.parametrize("word", ["start", "promotion", "hand-over", "a-word-of-the-future"])
def test_after_is_said_by_the_worker_and_told_by_the_producer_whether_known_or_not(word: str) -> None:
    receiver = an_opened_receiver()
    receiver.resume(Resume(7, word), START)
    line = sent(receiver)
    assert line == b"#resume offset=7 after=%s\n" % word.encode()
    assert an_opened_sender().receive_data(line, START) == [Resumed(7, word)]


def test_after_may_be_left_out() -> None:
    assert an_opened_sender().receive_data(b"#resume offset=7\n", START) == [Resumed(7, None)]


# ---- what is a worker's to know --------------------------------------------------------------------------------------


def test_opening_beat_is_what_makes_a_receiver_started() -> None:
    receiver = an_asking_receiver()
    receiver.receive_data(b"#wait\n", START)
    receiver.resume(Resume(7), START)
    assert not receiver.is_started
    receiver.receive_data(beat_line(7), START)
    assert receiver.is_started
    assert a_streaming_receiver().is_started
    assert not an_opened_receiver().is_started


def test_hello_first_then_open_and_whoever_is_greeted_only_is_asked_nothing() -> None:
    sender = a_sender()
    events = sender.receive_data(b"#hello randstream/1 worker=worker-0\n#wait\n", START)
    assert isinstance(events[0], Greeted)
    assert reason_of_close(events) is Reason.MALFORMED
