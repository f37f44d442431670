"""States: one transition table for both ends. An illegal frame is a failed lookup. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from .frames import Ack, Beat, Close, Frame, Hello, Numbers, Open, Resume, Wait


class Role(Enum):
    """Which end of the connection."""

    PRODUCER = auto()
    WORKER = auto()

    __hash__ = object.__hash__  # Enum's is written in Python, and every frame is looked up by its author and its state

    @property
    def peer(self) -> Role:
        return Role.WORKER if self is Role.PRODUCER else Role.PRODUCER


class State(Enum):
    """What a connection waits for."""

    GREETING = auto()
    """The worker's `#hello`."""
    OPENING = auto()
    """The producer's `#open`, or the first number of a raw peer."""
    WAITING = auto()
    """The worker's `#resume`. Meanwhile it asks with `#wait` whether the producer lives."""
    PROVING = auto()
    """The producer's opening beat."""
    STREAMING = auto()
    """Numbers, beats and acks, for years."""
    RAW = auto()
    """Number lines and nothing else."""
    CLOSED = auto()
    """Nothing: either end has said or done the last thing."""

    __hash__ = object.__hash__


MAY_SEND: Final[dict[Role, dict[State, dict[type[Frame], State]]]] = {
    Role.WORKER: {
        State.GREETING: {Hello: State.OPENING, Close: State.CLOSED},
        State.OPENING: {Close: State.CLOSED},
        State.WAITING: {Wait: State.WAITING, Resume: State.PROVING, Close: State.CLOSED},
        State.PROVING: {Ack: State.PROVING, Close: State.CLOSED},
        State.STREAMING: {Ack: State.STREAMING, Close: State.CLOSED},
        State.RAW: {},
        State.CLOSED: {},
    },
    Role.PRODUCER: {
        State.GREETING: {Close: State.CLOSED},
        State.OPENING: {Open: State.WAITING, Numbers: State.RAW, Close: State.CLOSED},
        State.WAITING: {Wait: State.WAITING, Close: State.CLOSED},
        State.PROVING: {Wait: State.PROVING, Beat: State.STREAMING, Close: State.CLOSED},
        State.STREAMING: {Numbers: State.STREAMING, Beat: State.STREAMING, Close: State.CLOSED},
        State.RAW: {Numbers: State.RAW},
        State.CLOSED: {},
    },
}
"""What each end may send in each state, and the state that follows."""


def next_state(state: State, frame: type[Frame], author: Role) -> State:
    """The state after `author` has sent `frame`. Raises KeyError if that is illegal."""
    return MAY_SEND[author][state][frame]
