"""The rules of "Liveness"."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.network import (
    START,
    a_resumed_receiver,
    a_streaming_receiver,
    a_streaming_sender,
    an_opened_sender,
    beat_line,
    ends_in_every_state,
    reason_of_close,
    repeatable,
    sent,
)

from randstream.errors import PeerTimeout, Reason, is_transient
from randstream.protocol.end import End
from randstream.protocol.events import Closed

LIVE_ENDS = [a_streaming_sender, a_streaming_receiver, an_opened_sender, a_resumed_receiver]


def serve(end: End, until: float) -> list[Closed]:
    """Call the timer whenever it is due; the events of the last call, and nothing after an end."""
    while end.deadline <= until:
        if events := end.handle_timer(end.deadline):
            return events
    return []


@pytest.mark.parametrize("make", LIVE_ENDS)
def test_silence_for_three_heartbeats_ends_the_connection_with_timeout(make: Callable[[], End]) -> None:
    end = make()
    assert serve(end, START + 2.99) == []
    events = serve(end, START + 3.0)
    assert isinstance(events[0].error, PeerTimeout)
    assert reason_of_close(events) is Reason.TIMEOUT
    assert is_transient(events[0].error)
    assert sent(end).endswith(b"#close reason=timeout\n")


@pytest.mark.parametrize(("heartbeat", "limit"), [("0.05", 0.15), ("10", 30.0), ("60", 180.0)])
def test_silence_is_counted_in_the_heartbeats_of_open(heartbeat: str, limit: float) -> None:
    for end in (a_streaming_receiver(0, heartbeat, 0.0), a_streaming_sender(0, float(heartbeat), 0.0)):
        assert serve(end, limit * 0.999) == []
        assert reason_of_close(serve(end, limit * 1.001)) is Reason.TIMEOUT


@pytest.mark.parametrize("make", [a_streaming_sender, a_streaming_receiver])
def test_silence_is_broken_by_any_bytes_also_by_a_part_of_a_line(make: Callable[[], End]) -> None:
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
