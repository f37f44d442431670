"""What both ends share: when silence has lasted too long, how a connection closes, and that nothing happens after."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.network import (
    HELLO,
    START,
    a_receiver,
    a_resumed_receiver,
    a_sender,
    a_streaming_receiver,
    a_streaming_sender,
    an_opened_sender,
    beat_line,
    ends_in_every_state,
    open_line,
    reason_of_close,
    repeatable,
    sent,
)

from randstream.errors import PeerClosed, PeerTimeout, Reason, RemoteProtocolError, is_transient
from randstream.protocol.end import End
from randstream.protocol.events import Closed, Event
from randstream.protocol.frames import Numbers
from randstream.protocol.states import State

# ---- silence ---------------------------------------------------------------------------------------------------------

LIVE_ENDS = [a_streaming_sender, a_streaming_receiver, an_opened_sender, a_resumed_receiver]


def serve(end: End, until: float) -> list[Event]:
    """Call the timer whenever it is due, until it reports something or time is up; what it reported."""
    while end.deadline <= until:
        if events := end.handle_timer(end.deadline):
            return events
    return []


@pytest.mark.parametrize("make", LIVE_ENDS)
def test_silence_for_three_heartbeats_ends_the_connection_with_timeout(make: Callable[[], End]) -> None:
    end = make()
    assert serve(end, START + 2.99) == []
    (closed,) = serve(end, START + 3.0)
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, PeerTimeout)
    assert closed.error.reason is Reason.TIMEOUT
    assert is_transient(closed.error)
    assert sent(end).endswith(b"#close reason=timeout\n")


@pytest.mark.parametrize(("heartbeat", "limit"), [("0.05", 0.15), ("10", 30.0), ("60", 180.0)])
def test_silence_is_counted_in_the_heartbeats_of_open(heartbeat: str, limit: float) -> None:
    for end in (a_streaming_receiver(0, heartbeat, 0.0), a_streaming_sender(0, float(heartbeat), 0.0)):
        assert serve(end, limit * 0.999) == []
        assert reason_of_close(serve(end, limit * 1.001)) is Reason.TIMEOUT


@pytest.mark.parametrize("make", [a_streaming_sender, a_streaming_receiver])
def test_silence_is_broken_by_any_bytes_even_by_part_of_a_line(make: Callable[[], End]) -> None:
    end = make()
    line = b"#ack offset=0\n" if make is a_streaming_sender else beat_line(0)
    for second in range(len(line) - 1):
        assert end.receive_data(line[second : second + 1], START + 2.9 * (second + 1)) == []
        assert serve(end, START + 2.9 * (second + 2)) == []


def test_incoming_bytes_only_count_so_a_producer_that_sends_and_hears_nothing_gives_up() -> None:
    sender = a_streaming_sender()
    for tenth in range(30):
        sender.send_numbers(b"5\n", 1, START + tenth / 10)
        assert sender.handle_timer(START + tenth / 10) == []
    assert reason_of_close(sender.handle_timer(START + 3.0)) is Reason.TIMEOUT


def test_incoming_bytes_only_count_so_a_worker_that_acks_and_hears_nothing_gives_up() -> None:
    receiver = a_streaming_receiver()
    receiver.receive_data(b"5\n" + beat_line(1, b"5\n"), START)
    assert serve(receiver, START + 2.9) == []
    receiver.acknowledge(1, START + 2.9)
    assert b"#ack" in sent(receiver)
    assert reason_of_close(serve(receiver, START + 3.0)) is Reason.TIMEOUT


@pytest.mark.parametrize("make", LIVE_ENDS)
@pytest.mark.parametrize("late", [0.0, 0.25, 0.5])
def test_silence_served_up_to_half_a_heartbeat_late_ends_the_connection(make: Callable[[], End], late: float) -> None:
    assert reason_of_close(make().handle_timer(START + 3.0 + late)) is Reason.TIMEOUT


@pytest.mark.parametrize("make", LIVE_ENDS)
@pytest.mark.parametrize("late", [0.501, 1.0, 3600.0])
def test_late_timer_by_more_than_half_a_heartbeat_ends_nothing_and_gives_one_more(
    make: Callable[[], End], late: float
) -> None:
    thawed = START + 3.0 + late
    end = make()
    assert end.handle_timer(thawed) == []
    assert serve(end, thawed + 0.999) == []
    assert reason_of_close(serve(end, thawed + 1.0)) is Reason.TIMEOUT


def test_late_timer_lets_what_has_arrived_meanwhile_be_read_and_count() -> None:
    receiver = a_streaming_receiver()
    thawed = START + 100.0
    assert receiver.handle_timer(thawed) == []
    receiver.receive_data(beat_line(0), thawed)
    assert serve(receiver, thawed + 2.99) == []
    assert reason_of_close(serve(receiver, thawed + 3.0)) is Reason.TIMEOUT


def test_late_timer_still_does_what_was_due() -> None:
    sender, receiver = a_streaming_sender(), a_streaming_receiver()
    sender.handle_timer(START + 100.0)
    receiver.handle_timer(START + 100.0)
    assert sent(sender).startswith(b"#beat offset=0 ")
    assert sent(receiver) == b"#ack offset=0\n"


def test_late_timer_by_more_than_half_a_heartbeat_spares_the_handshake_too() -> None:
    for end in [*ends_in_every_state()][:2]:
        assert end.handle_timer(START + 5.6) == []
        assert reason_of_close(end.handle_timer(START + 6.6)) is Reason.TIMEOUT


@given(waits=st.lists(st.one_of(st.just(0.0), st.floats(0.0, 2.0), st.floats(0.0, 1e6)), max_size=20))
@repeatable(30)
def test_a_timer_that_was_served_is_never_still_due(waits: list[float]) -> None:
    for end in ends_in_every_state():
        for wait in waits:
            now = min(end.deadline, 1e9) + wait
            end.handle_timer(now)
            assert end.deadline > now


def test_handshake_limit_is_not_put_off_by_dribbled_bytes() -> None:
    for end, line in ((a_sender(), HELLO), (a_receiver(), open_line())):
        for at in range(25):
            assert end.receive_data(line[at : at + 1], START + at / 5) == []
            assert end.handle_timer(START + at / 5) == []
        assert end.deadline == START + 5
        assert reason_of_close(end.handle_timer(START + 5)) is Reason.TIMEOUT


# ---- how a connection closes -----------------------------------------------------------------------------------------

ON_THE_WIRE = [
    "shutdown", "timeout", "yield", "spare", "takeover", "mismatch", "malformed", "too-long", "version", "refused",
    "busy",
]  # fmt: skip


TRANSIENT = {"shutdown", "timeout", "yield", "spare", "takeover"}


OPEN_ENDS = [end for end in ends_in_every_state() if end.state is not State.CLOSED]


def fresh(index: int) -> End:
    return [end for end in ends_in_every_state() if end.state is not State.CLOSED][index]


@pytest.mark.parametrize("reason", ON_THE_WIRE)
def test_close_reasons_are_told_in_one_line_and_heard_by_the_other_end(reason: str) -> None:
    for end, other in ((a_streaming_sender(), a_streaming_receiver()), (a_streaming_receiver(), a_streaming_sender())):
        end.close(Reason(reason))
        line = sent(end)
        assert line == f"#close reason={reason}\n".encode()
        (closed,) = other.receive_data(line, START)
        assert isinstance(closed, Closed)
        assert isinstance(closed.error, PeerClosed)
        assert closed.error.reason == reason
        assert is_transient(closed.error) == (reason in TRANSIENT)
        assert sent(other) == b""


@pytest.mark.parametrize("index", range(len(OPEN_ENDS)))
def test_close_reasons_may_be_told_in_any_state(index: int) -> None:
    end = fresh(index)
    end.close(Reason.SHUTDOWN)
    assert sent(end).endswith(b"#close reason=shutdown\n")


@pytest.mark.parametrize("word", ["maintenance", "x", "moved-to-another-host"])
def test_unknown_reason_is_transient(word: str) -> None:
    for end in (a_sender(), a_streaming_sender(), a_streaming_receiver()):
        (closed,) = end.receive_data(b"#close reason=%s\n" % word.encode(), START)
        assert isinstance(closed, Closed)
        assert closed.error.reason is Reason.OTHER
        assert is_transient(closed.error)


def test_what_was_queued_goes_out_before_close() -> None:
    sender = a_streaming_sender()
    sender.send_numbers(b"52\n", 1, START)
    sender.close(Reason.SHUTDOWN)
    assert sent(sender) == b"52\n#close reason=shutdown\n"


@pytest.mark.parametrize(
    "after", [b"52\n", beat_line(0), b"#ack offset=0\n", b"#close reason=busy\n", b"#garbage\n", b"\xff" * 9999]
)
def test_anything_after_close_is_ignored(after: bytes) -> None:
    for slices in ([b"#close reason=shutdown\n" + after], [b"#close reason=shutdown\n", after]):
        for end in (a_streaming_sender(), a_streaming_receiver()):
            events = [event for data in slices for event in end.receive_data(data, START)]
            assert len(events) == 1
            assert reason_of_close(events) is Reason.SHUTDOWN


def test_anything_after_our_own_close_is_ignored() -> None:
    receiver = a_streaming_receiver()
    receiver.close(Reason.TAKEOVER)
    assert receiver.receive_data(b"52\n" + beat_line(1, b"52\n"), START) == []
    assert receiver.offset == 0


def test_what_came_before_a_fault_counts_and_what_comes_after_does_not() -> None:
    receiver = a_streaming_receiver()
    events = receiver.receive_data(b"52\n#nonsense\n78\n", START)
    assert events[0] == Numbers(b"52\n", 1)
    assert len(events) == 2
    assert reason_of_close(events) is Reason.MALFORMED
    assert receiver.receive_data(b"78\n", START) == []


def test_an_error_names_what_was_wrong_for_the_log() -> None:
    (closed,) = a_streaming_receiver().receive_data(b"#nonsense x=1\n", START)
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, RemoteProtocolError)
    assert "unknown verb" in str(closed.error)
    assert "#nonsense" in str(closed.error)
