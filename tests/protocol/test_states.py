"""The transition table, and that both ends keep to it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from tests.protocol.network import (
    START,
    a_receiver,
    a_sender,
    a_streaming_receiver,
    a_streaming_sender,
    an_asking_receiver,
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
from randstream.protocol.states import MAY_SEND, Role, State, next_state

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
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
ALLOWED: dict[Role, dict[State, dict[type[Frame], State]]] = {
    Role.WORKER: {
        State.GREETING: {Hello: State.OPENING},
        State.WAITING: {Wait: State.WAITING, Resume: State.PROVING},
        State.PROVING: {Ack: State.PROVING},
        State.STREAMING: {Ack: State.STREAMING},
    },
    Role.PRODUCER: {
        State.OPENING: {Open: State.WAITING, Numbers: State.RAW},
        State.WAITING: {Wait: State.WAITING},
        State.PROVING: {Wait: State.PROVING, Beat: State.STREAMING},
        State.STREAMING: {Numbers: State.STREAMING, Beat: State.STREAMING},
        State.RAW: {Numbers: State.RAW},
    },
}


def names_on_the_page() -> dict[Role, dict[State, set[str]]]:
    """What the page's table lets each end send in each state: verbs, and `numbers`."""
    head, *rows = re.findall(r"^\| (\w+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert head == ("state", "the worker may send", "the producer may send")
    names: dict[Role, dict[State, set[str]]] = {Role.WORKER: {}, Role.PRODUCER: {}}
    for state, *cells in rows:
        for role, cell in zip(names, cells, strict=True):
            found = re.findall(r"(?<=`#)\w+|a number|numbers", cell)
            names[role][State[state.upper()]] = {name.replace("a number", "numbers") for name in found}
    return names


def greeted_sender() -> Sender:
    sender = a_sender()
    sender.receive_data(LINE[Hello], START)
    return sender


def raw_receiver() -> Receiver:
    receiver = a_receiver(accepts_raw=True)
    receiver.receive_data(b"1\n", START)
    return receiver


def a_proving_receiver() -> Receiver:
    """It is owed an answer to what it asked before it said `#resume`."""
    receiver = an_asking_receiver()
    receiver.resume(Resume(1200), START)
    sent(receiver)
    return receiver


# Each end in each state in which it can find itself when bytes arrive.
ENDS: dict[tuple[Role, State], Callable[[], End]] = {
    (Role.PRODUCER, State.GREETING): a_sender,
    (Role.PRODUCER, State.OPENING): greeted_sender,
    (Role.PRODUCER, State.WAITING): an_opened_sender,
    (Role.PRODUCER, State.STREAMING): lambda: a_streaming_sender(1200),
    (Role.WORKER, State.OPENING): a_receiver,
    (Role.WORKER, State.WAITING): an_asking_receiver,
    (Role.WORKER, State.PROVING): a_proving_receiver,
    (Role.WORKER, State.STREAMING): lambda: a_streaming_receiver(1200),
    (Role.WORKER, State.RAW): raw_receiver,
}


def end_in(role: Role, state: State) -> End:
    end = ENDS[role, state]()
    assert (end.role, end.state) == (role, state)
    return end


def test_the_table_is_total_over_its_states_and_leads_only_to_states() -> None:
    for table in MAY_SEND.values():
        assert set(table) == set(State)
    following = {state for table in MAY_SEND.values() for row in table.values() for state in row.values()}
    assert following == set(State) - {State.GREETING}
    assert {frame for table in MAY_SEND.values() for row in table.values() for frame in row} == set(FRAMES)


def test_the_page_has_the_same_table() -> None:
    assert names_on_the_page() == {
        role: {
            state: {frame.__name__.lower() for frame in rows.get(state, {})}
            for state in State
            if state is not State.CLOSED
        }
        for role, rows in ALLOWED.items()
    }


@pytest.mark.parametrize("author", Role)
@pytest.mark.parametrize("state", State)
def test_the_table_says_what_the_specification_says(state: State, author: Role) -> None:
    for frame in FRAMES:
        if frame is Close:
            continue
        expected = ALLOWED[author].get(state, {}).get(frame)
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
    if frame is Beat and isinstance(end, Receiver):
        end.receive_data(LINE[Wait] * end.owed_answers, START)
    events = end.receive_data(LINE[frame], START)
    allowed = ALLOWED[role.peer].get(state, {})
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
        a_receiver().resume(Resume(0), START)
    with pytest.raises(LocalProtocolError):
        a_receiver().ask(Wait(), 1.0, START)
    with pytest.raises(LocalProtocolError):
        a_streaming_receiver().resume(Resume(0), START)


def test_a_frame_that_a_wrong_table_lets_through_is_a_bug_and_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    sender, receiver = a_streaming_sender(), a_streaming_receiver()
    monkeypatch.setitem(MAY_SEND[Role.WORKER][State.STREAMING], Numbers, State.STREAMING)
    monkeypatch.setitem(MAY_SEND[Role.PRODUCER][State.STREAMING], Ack, State.STREAMING)
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
