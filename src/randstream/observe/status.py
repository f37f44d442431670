"""Status: what an observer may know about a role at one moment. The JSON of `/api/links` is `Snapshot`, field by field.

The roles know this module; it knows no role. `docs/operations.md` documents the JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

from ..clock import Clock
from ..protocol.troubles import sentence_of
from .expiry import Certificate
from .interruptions import Interruption, InterruptionsStatus, Pause
from .journal import Entry, Journal
from .tally import Tally
from .tap import Tap

_PAUSED: Final = {
    Pause.SILENCE: "the connection lives, but nothing comes",
    Pause.STALLED: sentence_of(None),
}


class LinkState(StrEnum):
    """What a link is doing, for people. A worker's one link is never DIALLING, STANDBY or RESTING."""

    WAITING = "waiting"
    DIALLING = "dialling"
    OPENING = "opening"
    STANDBY = "standby"
    """At a producer: another one serves the worker, and this one is in line."""
    RESTING = "resting"
    """At a producer: another of its links has this worker."""
    STREAMING = "streaming"
    STALLED = "stalled"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Standby:
    """A producer in a worker's line."""

    producer: str
    stream: str
    seconds: float
    """How long it has waited on its connection."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One link at one moment. Offsets are those of the next number."""

    worker: str | None
    """The worker's name; None until it is known."""
    peer: str | None
    """The other end: a producer's target, or the producer that a worker hears."""
    stream: str | None
    state: LinkState
    offset: int
    acked_offset: int
    rate: float
    """Numbers a second, over the last seconds."""
    round_trip: float | None
    """Seconds from the last answered beat to its ack; None at a worker, which cannot tell."""
    silence: float | None
    """Seconds since the last ack (producer) or beat (worker); None before the first."""
    reconnects: int
    error: str | None
    """Why the last connection, or attempt at one, ended."""
    reason: str | None
    """Why the link is not well, for an operator; None while it is."""
    since: float | None
    """When it ceased to be well, in seconds since 1970; None while it is well."""
    interruptions: InterruptionsStatus
    served_by: str | None = None
    """The producer that serves the worker: this one, or the one it stands by for; None if there is none or unknown."""
    served_for: float | None = None
    """Seconds since it began to serve, where known."""
    standbys: tuple[Standby, ...] = ()
    """At a worker: the producers that wait, in order of arrival."""


def find_health(reason: str | None, since: float, current: Interruption | None) -> tuple[str | None, float | None]:
    """The `reason` and `since` of a status, from what the link's state says and from the interruption that goes on."""
    if reason is None and current is not None and isinstance(current.cause, Pause):
        reason = _PAUSED.get(current.cause)
    if reason is None:
        return None, None
    return reason, since if current is None else current.start


@dataclass(frozen=True, slots=True)
class Totals:
    """All links together, since the role started."""

    links: int
    states: dict[str, int]
    """How many links are in each state; states without links are left out."""
    rate: float
    numbers: int
    """Sent (producer) or received (worker)."""
    number_bytes: int
    acked_numbers: int
    reconnects: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """A sample of the numbers of the last minute. The outer bins also count what lies beyond them."""

    edges: tuple[float, ...]
    """One more than there are bins."""
    expected: tuple[float, ...]
    """The probability of each bin."""
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A role at one moment: the JSON of `/api/links` and of each event of `/events`."""

    role: str
    name: str
    version: str
    time: float
    """Seconds since 1970."""
    uptime: float
    """How long this admin server has run, in seconds."""
    problem: str | None
    """Why the role is not ready; None while it is."""
    warning: str | None
    """A problem that does not stop the streams but needs a person; None if there is none."""
    numbers: str | None
    """The distribution; None while a worker has had no stream."""
    totals: Totals
    history: list[float]
    """Numbers a second of all links, for each second of the last two minutes; the newest last."""
    links: list[LinkStatus]
    """Those in trouble first; within a state, those interrupted most often first."""
    left_out: int
    """How many links matched but are not in `links`."""
    histogram: Histogram | None
    events: list[Entry]
    """The last ones, newest last."""


class Counted(Protocol):
    """What has been counted."""

    @property
    def count(self) -> int: ...


class ObservedLink(Protocol):
    """What the observer asks a link for. Offsets are as in `LinkStatus`."""

    @property
    def state(self) -> LinkState: ...
    @property
    def offset(self) -> int: ...
    @property
    def acked_offset(self) -> int: ...
    @property
    def round_trip(self) -> float | None: ...

    @property
    def interruptions(self) -> Counted: ...

    @property
    def label(self) -> tuple[str, str]:
        """The worker's name and the peer, as in `LinkStatus`, empty where unknown."""

    def status(self, now: float, rate: float, interruptions: int = 0) -> LinkStatus:
        """The status, with the last `interruptions` interruptions. `now` is by the role's clock."""

    def recent_numbers(self, since: int, count: int) -> Sequence[float] | Any:
        """Up to `count` of the last numbers that passed, none below offset `since`."""


class ObservedRole(Protocol):
    """What the observer reads from a producer or a worker and never changes. `Snapshot` explains most of it."""

    @property
    def role(self) -> Literal["producer", "worker"]: ...
    @property
    def name(self) -> str: ...
    @property
    def numbers(self) -> str | None: ...
    @property
    def rate(self) -> float | None:
        """Numbers a second that it sends to each worker at most; None at a worker, which takes what comes."""

    @property
    def heartbeat(self) -> float | None:
        """Seconds between two beats; None while a worker has had no stream."""

    @property
    def problem(self) -> str | None: ...
    @property
    def warning(self) -> str | None: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def tally(self) -> Tally: ...
    @property
    def journal(self) -> Journal: ...

    @property
    def certificates(self) -> Sequence[Certificate]:
        """Those that end the use of its files for TLS."""

    @property
    def links(self) -> Sequence[ObservedLink]:
        """All of them; a worker has one, whether or not it is connected."""

    @property
    def tap(self) -> Tap | None:
        """Where its numbers can be listened to; None at a producer, whose numbers cannot."""
