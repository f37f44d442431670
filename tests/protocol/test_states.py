"""The transition table, and that both ends keep to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import get_args

import pytest
from tests.protocol.network import (
    START,
    a_receiver,
    a_resumed_receiver,
    a_sender,
    a_streaming_receiver,
    a_streaming_sender,
    an_opened_receiver,
    an_opened_sender,
    beat_line,
    ends_in_every_state,
    open_line,
    reason_of_close,
    sent,
)

from randstream.errors import LocalProtocolError, Reason
from randstream.protocol.end import End
from randstream.protocol.frames import Ack, Beat, Close, Frame, Hello, Numbers, Open, Resume, Wait
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender
from randstream.protocol.states import AUTHOR, TRANSITIONS, Role, State, next_state

FRAMES: tuple[type[Frame], ...] = get_args(Frame)
LINE: dict[type[Frame], bytes] = {
    Hello: b"#hello randstream/1 worker=worker-0\n",
    Open: open_line(),
    Wait: b"#wait\n",
    Resume: b"#resume offset=1200\n",
    Numbers: b"52\n",
    Beat: beat_line(1200),
    Ack: b"#ack offset=1200\n",
    Close: b"#close reason=shutdown\n",
}
# The table of docs/protocol.md, "One connection, from the first line to the last"; `#close` may come at any time.
WORKER_MAY_SEND: dict[State, dict[type[Frame], State]] = {
    State.GREETING: {Hello: State.OPENING},
    State.RESUMING: {Wait: State.RESUMING, Resume: State.PROVING},
    State.PROVING: {Ack: State.PROVING},
    State.STREAMING: {Ack: State.STREAMING},
}
PRODUCER_MAY_SEND: dict[State, dict[type[Frame], State]] = {
    State.OPENING: {Open: State.RESUMING, Numbers: State.RAW},
    State.PROVING: {Beat: State.STREAMING},
    State.STREAMING: {Numbers: State.STREAMING, Beat: State.STREAMING},
    State.RAW: {Numbers: State.RAW},
}
MAY_SEND = {Role.WORKER: WORKER_MAY_SEND, Role.PRODUCER: PRODUCER_MAY_SEND}


def greeted_sender() -> Sender:
    sender = a_sender()
    sender.receive_data(LINE[Hello], START)
    return sender


def raw_receiver() -> Receiver:
    receiver = a_receiver(accepts_raw=True)
    receiver.receive_data(b"1\n", START)
    return receiver


# Each end in each state in which it can find itself when bytes arrive.
ENDS: dict[tuple[Role, State], Callable[[], End]] = {
    (Role.PRODUCER, State.GREETING): a_sender,
    (Role.PRODUCER, State.OPENING): greeted_sender,
    (Role.PRODUCER, State.RESUMING): an_opened_sender,
    (Role.PRODUCER, State.STREAMING): lambda: a_streaming_sender(1200),
    (Role.WORKER, State.OPENING): a_receiver,
    (Role.WORKER, State.RESUMING): an_opened_receiver,
    (Role.WORKER, State.PROVING): lambda: a_resumed_receiver(1200),
    (Role.WORKER, State.STREAMING): lambda: a_streaming_receiver(1200),
    (Role.WORKER, State.RAW): raw_receiver,
}


def end_in(role: Role, state: State) -> End:
    end = ENDS[role, state]()
    assert (end.role, end.state) == (role, state)
    return end


def test_the_table_is_total_over_its_states_and_leads_only_to_states() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state for row in TRANSITIONS.values() for state in row.values()} == set(State) - {State.GREETING}
    assert {*AUTHOR, Close} == set(FRAMES)


@pytest.mark.parametrize("author", Role)
@pytest.mark.parametrize("state", State)
def test_the_table_says_what_the_specification_says(state: State, author: Role) -> None:
    for frame in FRAMES:
        if frame is Close:
            continue
        expected = MAY_SEND[author].get(state, {}).get(frame)
        if expected is None:
            with pytest.raises(KeyError):
                next_state(state, frame, author)
        else:
            assert next_state(state, frame, author) is expected


@pytest.mark.parametrize("author", Role)
@pytest.mark.parametrize("state", [state for state in State if state not in (State.RAW, State.CLOSED)])
def test_close_may_come_from_either_end_at_any_time(state: State, author: Role) -> None:
    assert next_state(state, Close, author) is State.CLOSED


@pytest.mark.parametrize(("at", "frame"), [*itertools.product(ENDS, FRAMES)])
def test_every_frame_that_the_table_does_not_allow_from_that_author_is_malformed(
    at: tuple[Role, State], frame: type[Frame]
) -> None:
    role, state = at
    end = end_in(role, state)
    events = end.receive_data(LINE[frame], START)
    allowed = MAY_SEND[role.peer].get(state, {})
    raw = {Numbers} if at == (Role.WORKER, State.OPENING) else set()  # legal, but this worker takes no raw peers
    if frame is Close and state is not State.RAW:
        assert reason_of_close(events) is Reason.SHUTDOWN
    elif frame in allowed and frame not in raw:
        assert end.state is not State.CLOSED
    else:
        assert reason_of_close(events) is Reason.MALFORMED
        assert sent(end).endswith(b"#close reason=malformed\n")
        assert end.state is State.CLOSED


def test_the_other_end_is_the_peer() -> None:
    assert Role.PRODUCER.peer is Role.WORKER
    assert Role.WORKER.peer is Role.PRODUCER


def test_our_own_illegal_frame_is_a_bug_and_raises() -> None:
    with pytest.raises(LocalProtocolError):
        a_sender().open("0" * 16, "bits64", first_offset=0, now=START)
    with pytest.raises(LocalProtocolError):
        an_opened_sender().send_final_beat(START)
    with pytest.raises(LocalProtocolError):
        an_opened_sender().send_numbers(b"1\n", 1, START)
    with pytest.raises(LocalProtocolError):
        a_receiver().resume(0, START)
    with pytest.raises(LocalProtocolError):
        a_receiver().wait(START)
    with pytest.raises(LocalProtocolError):
        a_streaming_receiver().resume(0, START)


def test_a_frame_that_a_wrong_table_lets_through_is_a_bug_and_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    sender, receiver = a_streaming_sender(), a_streaming_receiver()
    monkeypatch.setitem(AUTHOR, Numbers, Role.WORKER)
    monkeypatch.setitem(AUTHOR, Ack, Role.PRODUCER)
    with pytest.raises(AssertionError):
        sender.receive_data(LINE[Numbers], START)
    with pytest.raises(AssertionError):
        receiver.receive_data(LINE[Ack], START)


def test_a_closed_end_wants_nothing_and_says_nothing_more() -> None:
    for end in ends_in_every_state():
        end.close(Reason.SHUTDOWN)
        sent(end)
        assert end.deadline == float("inf")
        assert end.handle_timer(START + 1e6) == []
        assert end.receive_data(b"".join(LINE.values()), START) == []
        end.close(Reason.TAKEOVER)
        assert sent(end) == b""
