"""Line: who serves a worker, and who stands by. The rules are those of "The line" in docs/protocol.md.

It decides and reads no clock: sessions bring the time, and one task of the worker opens the sink for whoever is next.
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
"""Connections in the line, whoever serves among them: more producers than that stand by in vain."""
SETTLE_SECONDS: Final = 10.0
SETTLE_HEARTBEATS: Final = 10
LONGEST_SETTLE: Final = 3600.0
"""What a better producer waits before it gets a stream that flows: it may be one that comes and goes."""
MOST_TURMOIL: Final = 9
"""Doublings that are counted: ten seconds, so often doubled, are more than the longest."""
SETTLED_FACTOR: Final = 10
"""A hand-over was right if its connection lasted so many times what was waited for it."""
ASKS_OF_THE_STEADY: Final = 4
"""Whoever was asked so often is no connection whose end has yet to be noticed."""


class Holder(Protocol):
    """A session that has the sink, or may come to: one of the line, or a raw peer."""

    def end(self, reason: Reason, now: float) -> None:
        """Close the connection politely. It leaves before this returns."""

    def drain(self, now: float) -> None:
        """End as soon as what has been sent is in the sink and acknowledged."""

    async def wait_over(self) -> None:
        """Wait until it has left."""


class Member(Holder, Protocol):
    """A session that opened a stream, as the line sees it."""

    @property
    def offered(self) -> Open:
        """What it opened with."""

    @property
    def owes_answer(self) -> bool:
        """Whether it was asked and has not answered yet."""

    @property
    def is_started(self) -> bool:
        """Whether its opening beat came."""

    def ask(self, wait: Wait, period: float, now: float) -> None:
        """Say `wait`, and let the next be due in `period` seconds."""

    def ask_within(self, period: float, now: float) -> None:
        """Let the next ask be due in `period` seconds, unless it is before."""

    def serve(self, resume: Resume, now: float) -> None:
        """Say `resume`: the sink is open for this stream."""


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
    """How a member serves. `settle`: how long it had waited for that, in seconds, if the stream was handed to it."""

    since: float
    settle: float | None


class Line:
    """Every session that opens a stream joins, waits, serves, and leaves."""

    def __init__(self, worker: str, random: Random) -> None:
        self.serving: Member | None = None
        self.raw: Holder | None = None
        """A raw peer that has the sink, while nobody serves."""
        self.waiting: dict[Member, Place] = {}
        """In the order in which they came."""
        self.served: Open | None = None
        """What whoever serves, or served last, offered."""
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
        """Who has the sink."""
        return self.serving or self.raw

    def join(self, member: Member, now: float) -> None:
        """`member` has opened a stream. It is ended; or waits, and is asked at once if somebody serves."""
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
        """Whether `peer` gets the sink: only if nobody else wants it."""
        if self.holder is not None or self.waiting:
            return False
        self.raw = peer
        return True

    def leave(self, guest: object, reason: Reason, now: float) -> bool:
        """A session is over; whether it had the sink."""
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
        """It is time to ask `member`, which waits."""
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
        """Wait until nobody has the sink and somebody wants it: what the sink is to be opened for."""
        while (member := self._choose()) is None:
            self._change.clear()
            await self._change.wait()
        return member.offered

    def promote(self, opened: Open, offset: int | None, now: float) -> None:
        """The sink is open for the stream of `opened` and wants the number at `offset`: let one of the line serve."""
        member = self._choose(opened)
        if member is None or self._wants_other_than(opened):  # the line has changed meanwhile
            return
        place = self.waiting.pop(member)
        after, settled = "start", None
        if place.has_stood_by:
            after, settled = ("promotion", None) if self._settled is None else ("hand-over", self._settled)
        self._settled, self._set_aside = None, []
        self._service = _Service(now, settled)
        self.serving, self.served, self._acked_offset = member, member.offered, offset
        member.serve(Resume(offset, after), now)
        for other in list(self.waiting):  # whoever serves now may have a shorter heartbeat
            other.ask_within(self._ask_period(other.offered), now)

    def set_aside(self, opened: Open) -> None:
        """The sink cannot be opened for the stream of `opened` until a person mends it: try all others before it."""
        waiting = {member.offered.kind for member in self.waiting}
        before = [kind for kind in self._set_aside if kind in waiting and kind != opened.kind]
        self._set_aside = [*before, opened.kind]

    def refuse(self, opened: Open, now: float) -> None:
        """The sink can never take the stream of `opened`: end all that offer it."""
        for member in self._waiting_for(opened):
            member.end(Reason.MALFORMED, now)

    def note_start(self, offset: int) -> None:
        """Whoever serves has sent its opening beat, which is acknowledged: the next number has `offset`."""
        self._trusts_rank = True
        self._acked_offset = offset

    def note_ack(self, offset: int, now: float) -> bool:
        """An ack has just answered a beat of whoever serves. Whether it must now yield to a better one."""
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
        """The names that several producers in the line have, in order."""
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
        """Who is to serve next, of those that offer the stream of `opened` if one is given; None: nobody."""
        if self.holder is not None:
            return None
        if opened is not None:
            members = self._waiting_for(opened)
        else:
            others = [member for member in self.waiting if member.offered.kind not in self._set_aside]
            for kind in self._set_aside:  # all have been tried: now whichever that was longest ago
                others = others or [member for member in self.waiting if member.offered.kind == kind]
            members = [member for member in others if self._is_served(member.offered)] or others
        ready = [member for member in members if not member.owes_answer] or members
        if not self._trusts_rank:
            return next(iter(ready), None)
        return max(ready, key=self._score, default=None)

    def _is_served(self, opened: Open) -> bool:
        """Whether the stream of `opened` is the one that is served, or was last."""
        return self.served is not None and self.served.kind == opened.kind

    def _wants_other_than(self, opened: Open) -> bool:
        """Whether the stream that was served has somebody in line again, and the sink was opened for another."""
        if self._is_served(opened):
            return False
        kinds = (member.offered.kind for member in self.waiting if self._is_served(member.offered))
        return any(kind not in self._set_aside for kind in kinds)

    def _score(self, member: Member) -> tuple[int, str]:
        return rank(self._worker, member.offered.producer), member.offered.instance or ""

    def _judge_hand_over(self, reason: Reason, now: float) -> None:
        """A connection that served is over: was it right to hand the stream to it?"""
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
