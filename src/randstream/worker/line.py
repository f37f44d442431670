"""Line: which producer serves a worker, and which stand by. The rules are those of "The line" in docs/protocol.md.

It decides and reads no clock: sessions bring the time, and one task of the worker opens the sink for the next.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

from ..errors import Reason
from ..protocol.frames import Open, Resume, Wait
from ..protocol.rank import rank

LINE_LIMIT: Final = 16
"""Connections in the line, including the one that serves: more standbys than that are of no use."""
SETTLE_SECONDS: Final = 10.0
SETTLE_HEARTBEATS: Final = 10
LONGEST_SETTLE: Final = 3600.0
"""How long a better producer waits before it gets a stream that flows, in case it comes and goes."""
MOST_TURMOIL: Final = 9
"""Doublings that are counted: ten seconds, doubled this often, exceed the longest."""
SETTLED_FACTOR: Final = 10
"""A hand-over was right if its connection lasted this many times the SETTLE that decided it."""
ASKS_OF_THE_STEADY: Final = 4
"""After this many asks a connection is not a dead one that has gone unnoticed."""


class Holder(Protocol):
    """A session that has the sink or may get it: one of the line, or a raw peer."""

    def end(self, reason: Reason, now: float) -> None:
        """Close the connection politely. It leaves before this returns."""

    def drain(self, now: float) -> None:
        """End as soon as what has been sent is in the sink and acknowledged."""

    async def wait_over(self) -> None:
        """Wait until it has left."""


class Member(Holder, Protocol):
    """A session that has opened a stream, as the line sees it."""

    @property
    def offered(self) -> Open:
        """What it opened with."""

    @property
    def owes_answer(self) -> bool:
        """Whether it was asked and has not answered yet."""

    @property
    def is_started(self) -> bool:
        """Whether its opening beat has come."""

    def ask(self, wait: Wait, period: float, now: float) -> None:
        """Send `wait`; the next is due in `period` seconds."""

    def ask_within(self, period: float, now: float) -> None:
        """Let the next ask be due in `period` seconds, unless one is due before."""

    def serve(self, resume: Resume, now: float) -> None:
        """Send `resume`: the sink is open for this stream."""


@dataclass(slots=True)
class Place:
    """How a member waits. `patience` is a factor from 1 to 2, so that not all workers hand over at once."""

    since: float
    patience: float
    asks: int = 0
    has_stood_by: bool = False
    """Whether it was told that another serves."""


@dataclass(frozen=True, slots=True)
class _Service:
    """How a member serves. `settle`: the SETTLE of its hand-over, in seconds; None if it began otherwise."""

    since: float
    settle: float | None


class Line:
    """Every session that opens a stream joins, waits, serves, and leaves."""

    def __init__(self, worker: str, random: Random) -> None:
        self.serving: Member | None = None
        self.raw: Holder | None = None
        """A raw peer that has the sink, while no producer serves."""
        self.waiting: dict[Member, Place] = {}
        """In order of arrival."""
        self.served: Open | None = None
        """The offer of the member that serves, or served last."""
        self._worker = worker
        self._random = random
        self._service = _Service(-math.inf, None)
        self._acked_offset: int | None = None
        self._set_aside: list[tuple[str, str]] = []
        self._trusts_rank = True
        self._settled: float | None = None
        self._turmoil = 0
        self._change = asyncio.Event()

    @property
    def holder(self) -> Holder | None:
        """The session that has the sink."""
        return self.serving or self.raw

    def join(self, member: Member, now: float) -> None:
        """`member` has opened a stream. End it, or let it wait; if another serves, ask it at once."""
        offered, served = member.offered, self.served
        for other in self._members():
            if offered.instance is not None and other.offered.instance == offered.instance:
                other.end(Reason.TAKEOVER, now)
        if self.raw is not None:
            self.raw.end(Reason.TAKEOVER, now)
        if self.serving is not None and served and served.stream == offered.stream and served.kind != offered.kind:
            member.end(Reason.MALFORMED, now)
        elif len(self._members()) >= LINE_LIMIT:
            member.end(Reason.SPARE, now)
        else:
            self.waiting[member] = Place(now, self._random.uniform(1.0, 2.0))
            if self.serving is not None:
                self.ask(member, now)
            else:
                member.ask_within(self._ask_period(offered), now)
            self._change.set()

    def join_raw(self, peer: Holder) -> bool:
        """Give `peer` the sink if nothing else has or wants it; return whether it has it."""
        if self.holder is not None or self.waiting:
            return False
        self.raw = peer
        return True

    def leave(self, guest: object, reason: Reason, now: float) -> bool:
        """A session is over; return whether it had the sink."""
        for member in self.waiting:
            if member is guest:
                del self.waiting[member]
                return False
        if guest is self.raw:
            self.raw = None
        elif self.serving is not None and guest is self.serving:
            self._trusts_rank &= self.serving.is_started
            self.serving = None
            self._judge_hand_over(reason, now)
        else:
            return False
        self._change.set()
        return True

    def ask(self, member: Member, now: float) -> None:
        """Ask `member`, which waits: it is time."""
        offered, served, place = member.offered, self.served, self.waiting[member]
        place.asks += 1
        by = stream = offset = None
        if served is not None:
            if served.kind == offered.kind:
                offset = self._acked_offset
            if self.serving is not None:
                by = served.producer
                stream = served.stream if served.stream != offered.stream else None
                place.has_stood_by = True
        member.ask(Wait(by, offset, stream), self._ask_period(offered), now)

    async def next_offer(self) -> Open:
        """Wait until the sink is free and a member wants it; return the offer to open it for."""
        while (member := self._choose()) is None:
            self._change.clear()
            await self._change.wait()
        return member.offered

    def promote(self, opened: Open, offset: int | None, now: float) -> None:
        """The sink is open for the stream of `opened` and wants the number at `offset`: let one of the line serve."""
        member = self._choose(opened)
        if member is None or self._wants_other_than(opened):  # the line has changed since then
            return
        place = self.waiting.pop(member)
        after, settled = "start", None
        if place.has_stood_by:
            after, settled = ("promotion", None) if self._settled is None else ("hand-over", self._settled)
        self._settled, self._set_aside = None, []
        self._service = _Service(now, settled)
        self.serving, self.served, self._acked_offset = member, member.offered, offset
        member.serve(Resume(offset, after), now)
        for other in list(self.waiting):  # the one that serves now may have a shorter heartbeat
            other.ask_within(self._ask_period(other.offered), now)

    def set_aside(self, opened: Open) -> None:
        """The sink cannot be opened for the stream of `opened` until a person fixes it: try all others first."""
        waiting = {member.offered.kind for member in self.waiting}
        before = [kind for kind in self._set_aside if kind in waiting and kind != opened.kind]
        self._set_aside = [*before, opened.kind]

    def refuse(self, opened: Open, now: float) -> None:
        """The sink can never take the stream of `opened`: end all sessions that offer it."""
        for member in self._waiting_for(opened):
            member.end(Reason.MALFORMED, now)

    def note_start(self, offset: int) -> None:
        """The opening beat of the member that serves has come and is acknowledged; the next number has `offset`."""
        self._trusts_rank = True
        self._acked_offset = offset

    def note_ack(self, offset: int, now: float) -> bool:
        """An ack has just answered a beat of the serving member; return whether it must now yield to a better one."""
        self._acked_offset = offset
        serving, served = self.serving, self.served
        if serving is None or served is None or not self.waiting:
            return False
        ready = [member for member in self._waiting_for(served) if not member.owes_answer]
        best = max(ready, key=self._score, default=serving)
        if self._score(best) <= self._score(serving):
            return False
        self._forgive_turmoil(now)
        place = self.waiting[best]
        settle = max(SETTLE_SECONDS, SETTLE_HEARTBEATS * max(served.heartbeat, best.offered.heartbeat))
        settle = min(settle * 2**self._turmoil, LONGEST_SETTLE) * place.patience
        if now - place.since < settle or now - self._service.since < settle:
            return False
        self._settled = settle
        return True

    def doubles(self) -> list[str]:
        """The names that several producers in the line share, sorted."""
        steady = [member for member, place in self.waiting.items() if place.asks >= ASKS_OF_THE_STEADY]
        if self.serving is not None:
            steady.append(self.serving)
        names = [member.offered.producer for member in steady]
        return sorted({name for name in names if names.count(name) > 1})

    def _ask_period(self, offered: Open) -> float:
        return offered.heartbeat if self.served is None else min(offered.heartbeat, self.served.heartbeat)

    def _members(self) -> list[Member]:
        return [*self.waiting, *(() if self.serving is None else (self.serving,))]

    def _waiting_for(self, opened: Open) -> list[Member]:
        return [member for member in self.waiting if member.offered.kind == opened.kind]

    def _choose(self, opened: Open | None = None) -> Member | None:
        """The member to serve next, among those that offer the stream of `opened` if given; None if there is none."""
        if self.holder is not None:
            return None
        if opened is not None:
            members = self._waiting_for(opened)
        else:
            others = [member for member in self.waiting if member.offered.kind not in self._set_aside]
            for kind in self._set_aside:  # all have been tried: take the one tried longest ago
                others = others or [member for member in self.waiting if member.offered.kind == kind]
            members = [member for member in others if self._is_served(member.offered)] or others
        ready = [member for member in members if not member.owes_answer] or members
        if not self._trusts_rank:
            return next(iter(ready), None)
        return max(ready, key=self._score, default=None)

    def _is_served(self, opened: Open) -> bool:
        """Whether the stream of `opened` is the one that is served, or was served last."""
        return self.served is not None and self.served.kind == opened.kind

    def _wants_other_than(self, opened: Open) -> bool:
        """Whether a member offers the stream last served again, after the sink was opened for another."""
        if self._is_served(opened):
            return False
        kinds = (member.offered.kind for member in self.waiting if self._is_served(member.offered))
        return any(kind not in self._set_aside for kind in kinds)

    def _score(self, member: Member) -> tuple[int, str]:
        return rank(self._worker, member.offered.producer), member.offered.instance or ""

    def _judge_hand_over(self, reason: Reason, now: float) -> None:
        """Judge, now that a serving connection is over, whether it was right to hand the stream to it."""
        if self._service.settle is None or self._forgive_turmoil(now):
            return
        if reason not in (Reason.SHUTDOWN, Reason.YIELD):
            self._turmoil = min(self._turmoil + 1, MOST_TURMOIL)

    def _forgive_turmoil(self, now: float) -> bool:
        settle = self._service.settle
        has_lasted = settle is not None and now - self._service.since >= SETTLED_FACTOR * settle
        if has_lasted:
            self._turmoil = 0
        return has_lasted
