"""States: one transition table for both ends. An illegal frame is a failed lookup. Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from .frames import Ack, Beat, Close, Frame, Hello, Numbers, Open, Resume, Wait


class Role(Enum):
    """Which end of the connection."""

    PRODUCER = auto()
    WORKER = auto()

    @property
    def peer(self) -> Role:
        return Role.WORKER if self is Role.PRODUCER else Role.PRODUCER


class State(Enum):
    """What a connection waits for."""

    GREETING = auto()
    """The worker's `#hello`."""
    OPENING = auto()
    """The producer's `#open`, or the first number of a raw peer."""
    RESUMING = auto()
    """The worker's `#resume`."""
    PROVING = auto()
    """The producer's opening beat."""
    STREAMING = auto()
    """Numbers, beats and acks, for years."""
    RAW = auto()
    """Number lines and nothing else."""
    CLOSED = auto()
    """Nothing: either end has said or done the last thing."""

    __hash__ = object.__hash__  # Enum's is written in Python, and every frame is looked up by its state


AUTHOR: Final[dict[type[Frame], Role]] = {
    Hello: Role.WORKER,
    Open: Role.PRODUCER,
    Wait: Role.WORKER,
    Resume: Role.WORKER,
    Numbers: Role.PRODUCER,
    Beat: Role.PRODUCER,
    Ack: Role.WORKER,
}
"""Who may send a frame; `#close` is anybody's."""

TRANSITIONS: Final[dict[State, dict[type[Frame], State]]] = {
    State.GREETING: {Hello: State.OPENING, Close: State.CLOSED},
    State.OPENING: {Open: State.RESUMING, Numbers: State.RAW, Close: State.CLOSED},
    State.RESUMING: {Wait: State.RESUMING, Resume: State.PROVING, Close: State.CLOSED},
    State.PROVING: {Beat: State.STREAMING, Ack: State.PROVING, Close: State.CLOSED},
    State.STREAMING: {Numbers: State.STREAMING, Beat: State.STREAMING, Ack: State.STREAMING, Close: State.CLOSED},
    State.RAW: {Numbers: State.RAW},
    State.CLOSED: {},
}


def next_state(state: State, frame: type[Frame], author: Role) -> State:
    """The state after `author` has sent `frame`. Raises KeyError if that is illegal."""
    if AUTHOR.get(frame, author) is not author:
        raise KeyError(frame)
    return TRANSITIONS[state][frame]
