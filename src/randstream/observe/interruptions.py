"""Interruptions: when a link's connection did not work, for how long, and why. The same at both ends.

One lasts from the last byte heard to the first proof of progress after it. `docs/operations.md` defines the words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from ..clock import Clock
from ..errors import Reason
from ..protocol import INTERRUPTION_HEARTBEATS

KEPT: Final = 100
"""The newest of each link: 14 KB, but only for a link that breaks that often."""


class Pause(StrEnum):
    """What interrupts a stream without breaking a connection."""

    SILENCE = "silence"
    """The connection lives on, but nothing came."""
    STALLED = "stalled"
    """Something came, but the sink took no numbers."""
    HAND_OVER = "hand-over"
    """The worker itself closed the connection, because a better-ranked producer waits. Only at a worker."""


Cause = Reason | Pause


class Ear(Protocol):
    """What a connection's end knows about its peer: see `protocol.End`."""

    heartbeat: float
    heard_at: float
    silent_since: float | None


@dataclass(frozen=True, slots=True)
class Interruption:
    """One that is over, or how long it has lasted so far."""

    start: float
    """In seconds since 1970, by the clock as it was when the interruption ended."""
    seconds: float
    cause: Cause
    unnoticed: float | None
    """The first part of `seconds`, before the loss of the connection was noticed; None: the connection was not lost."""

    @property
    def is_reconnect(self) -> bool:
        """Whether it ended because another connection has replaced one that was lost."""
        return self.unnoticed is not None and self.cause is not Pause.HAND_OVER


@dataclass(frozen=True, slots=True)
class InterruptionsStatus:
    """All interruptions of a link since the start."""

    count: int
    longest: float
    total: float
    """In seconds, including the current one, like `longest`."""
    availability: float | None
    """The share of the time since the first contact without interruption, 0 to 1; None if there was no contact yet."""
    current: Interruption | None
    """The one that goes on now, which `count` leaves out."""
    last: Sequence[Interruption]
    """The newest last."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """One that goes on. Times are in seconds of the monotonic clock."""

    since: float
    cause: Cause
    noticed_at: float | None = None


class Interruptions:
    """Those of one link. `now` is in seconds of the monotonic clock; `clock` only gives the time of day.

    Call `lost` when a connection is over, and `proved` at anything that shows that it works.
    """

    __slots__ = (
        "_begun", "_clock", "_ear", "_finished_at", "_last", "_proved_at", "_unproven_since", "count",
        "first_proved_at", "longest", "reconnects", "total",
    )  # fmt: skip

    def __init__(self, clock: Clock) -> None:
        self.count = 0
        self.reconnects = 0
        """How many of them were a lost connection, which another has replaced."""
        self.longest = 0.0
        self.total = 0.0
        """The sum of all that are over, in seconds."""
        self.first_proved_at: float | None = None
        """The first contact: nothing can be interrupted before."""
        self._clock = clock
        self._last: list[Interruption] | None = None
        self._begun: _Begun | None = None
        self._ear: Ear | None = None
        self._proved_at = -math.inf
        self._unproven_since: float | None = None
        self._finished_at = math.inf

    @property
    def last(self) -> Sequence[Interruption]:
        """The last KEPT that are over, newest last."""
        return () if self._last is None else tuple(self._last)

    def proved(self, now: float, ear: Ear | None) -> Interruption | None:
        """The connection of `ear` works; return the interruption that this ends, if any.

        Without an ear there is nothing to hear, and that is fine: a raw peer is connected, or the worker has said that
        it does not need this link now.
        """
        begun = self._begun
        if begun is None and ear is self._ear:
            begun = self._pause(now)
        if ear is not None:
            ear.silent_since = None
        if self.first_proved_at is None:
            self.first_proved_at = now
        self._ear = ear
        self._proved_at = now
        self._begun = self._unproven_since = None
        return None if begun is None else self._record(begun, now)

    def unproven(self, since: float, ear: Ear) -> None:
        """What `ear` heard would be proof if the sink had taken what it was given at `since` or before."""
        if self._unproven_since is None:
            self._unproven_since = since
        if self._ear is None and self._begun is None and self.first_proved_at is not None:
            self._ear, ear.silent_since = ear, None

    def lost(self, reason: Reason, now: float) -> None:
        """The connection, or an attempt at one, is over."""
        if self._begun is not None or self.first_proved_at is None or self._finished_at < math.inf:
            return
        ear = self._ear
        heard_at = now if ear is None else ear.heard_at
        cause: Cause = Pause.HAND_OVER if reason is Reason.YIELD else reason
        begun = self._pause(heard_at) or _Begun(max(heard_at, self._proved_at), cause)
        if reason is Reason.TIMEOUT and ear is not None and now - heard_at <= INTERRUPTION_HEARTBEATS * ear.heartbeat:
            # We hear the peer, and it says that it heard nothing: what looked like a stall was a loss on the way there.
            begun = _Begun(self._proved_at, cause)
        self._begun = replace(begun, noticed_at=now)
        self._ear = self._unproven_since = None

    def finish(self, now: float) -> None:
        """The link has ended for good: a current interruption stops growing."""
        if self._finished_at == math.inf:
            self._begun, self._ear = self._find(now), None
            self._finished_at = now

    def status(self, now: float, most: int = KEPT) -> InterruptionsStatus:
        """The status now, with the last `most` of them."""
        now = min(now, self._finished_at)
        begun = self._find(now)
        current = None if begun is None else self._measure(begun, now)
        seconds = 0.0 if current is None else current.seconds
        total = self.total + seconds
        since = self.first_proved_at
        return InterruptionsStatus(
            count=self.count,
            longest=max(self.longest, seconds),
            total=total,
            availability=None if since is None else 1.0 - (total / (now - since) if now > since else 0.0),
            current=current,
            last=self.last[-most:] if most else (),
        )

    def _find(self, now: float) -> _Begun | None:
        """The one that goes on at `now`."""
        ear = self._ear
        if self._begun is not None or ear is None:
            return self._begun
        if (pause := self._pause(ear.heard_at)) is not None:
            return pause
        since = max(ear.heard_at, self._proved_at)
        return _Begun(since, Pause.SILENCE) if now - since > INTERRUPTION_HEARTBEATS * ear.heartbeat else None

    def _pause(self, until: float) -> _Begun | None:
        """What has interrupted a live connection: a silence that is over, or a stall until `until`."""
        ear = self._ear
        if ear is None or (ear.silent_since is None and self._unproven_since is None):
            return None
        for since, cause in (ear.silent_since, Pause.SILENCE), (self._unproven_since, Pause.STALLED):
            if since is not None:
                since = max(since, self._proved_at)
                if until - since > INTERRUPTION_HEARTBEATS * ear.heartbeat:
                    return _Begun(since, cause)
        return None

    def _record(self, begun: _Begun, now: float) -> Interruption:
        interruption = self._measure(begun, now)
        self.count += 1
        self.reconnects += interruption.is_reconnect
        self.total += interruption.seconds
        self.longest = max(self.longest, interruption.seconds)
        if self._last is None:
            self._last = []
        elif len(self._last) >= KEPT:
            del self._last[0]
        self._last.append(interruption)
        return interruption

    def _measure(self, begun: _Begun, now: float) -> Interruption:
        seconds = now - begun.since
        unnoticed = None if begun.noticed_at is None else round(begun.noticed_at - begun.since, 6)
        return Interruption(round(self._clock.wall_time() - seconds, 6), round(seconds, 6), begun.cause, unnoticed)
