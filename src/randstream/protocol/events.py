"""Events: what a received frame, or the passing of time, means to the driver of an end. Past tense. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import PeerClosed, PeerTimeout, RemoteProtocolError, TlsError
from .frames import Beat, Numbers, Open


@dataclass(frozen=True, slots=True)
class Greeted:
    """To the sender: the worker gave its name; answer with `Sender.open`."""

    worker: str


@dataclass(frozen=True, slots=True)
class Waited:
    """To the sender: the worker lives, and it is not this producer's turn. The answer is queued.

    `by`: the producer that serves; None if none does, as the sink cannot say yet where the stream stands. See `Wait`.
    """

    by: str | None = None
    offset: int | None = None
    stream: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """To the sender: numbers flow from `offset` on; the opening beat is queued. `after`: see `Resume`."""

    offset: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """To the sender: all below `offset` is in the sink. `round_trip` in seconds, None for a repeated ack. See `Ack`."""

    offset: int
    round_trip: float | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """To the receiver: a stream is offered; answer with `Receiver.ask`, `resume` or `close`."""

    offered: Open


@dataclass(frozen=True, slots=True)
class AskDue:
    """To the receiver: it is time for the next `Receiver.ask`, while the offer waits."""


@dataclass(frozen=True, slots=True)
class Started:
    """To the receiver: the opening beat came; the next number has `offset`."""

    offset: int


@dataclass(frozen=True, slots=True)
class Proved:
    """To the receiver: `beat` held, so the numbers since the last one are as they were sent."""

    beat: Beat


@dataclass(frozen=True, slots=True)
class Closed:
    """To both: the connection is over because of `error`; only what is queued is still sent."""

    error: RemoteProtocolError | PeerTimeout | PeerClosed | TlsError


Event = Greeted | Waited | Resumed | Acknowledged | Opened | AskDue | Started | Numbers | Proved | Closed
