"""The rules of "Ends": how a connection closes, and that nothing happens after."""

from __future__ import annotations

import pytest
from tests.protocol.network import (
    START,
    a_sender,
    a_streaming_receiver,
    a_streaming_sender,
    beat_line,
    ends_in_every_state,
    reason_of_close,
    sent,
)

from randstream.errors import PeerClosed, Reason, RemoteProtocolError, is_transient
from randstream.protocol.end import End
from randstream.protocol.events import Closed
from randstream.protocol.frames import Numbers
from randstream.protocol.states import State

ON_THE_WIRE = [
    "shutdown", "takeover", "mismatch", "malformed", "too-long", "timeout", "version", "refused", "busy",
]  # fmt: skip
SOON = {"shutdown", "takeover", "timeout"}
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
        assert is_transient(closed.error) == (reason in SOON)
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
