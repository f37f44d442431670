"""Rules: a second reading of docs/protocol.md (The line), for whoever watches a worker or its line alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from randstream.errors import Reason
from randstream.protocol.frames import Open, Resume
from randstream.protocol.rank import rank

WORKER: Final = "worker-0"
PRODUCERS: Final = ("producer-0", "producer-1", "producer-2", "producer-3")
OFFERS: Final = (("a" * 16, "bits64"), ("b" * 16, "bits64"), ("a" * 16, "normal:0:1"), ("a" * 16, "bits64"))
HEARTBEATS: Final = (1.0, 2.0, 5.0, 0.5)
INSTANCES: Final = (None, "1" * 16, "2" * 16, None)
LINE_LIMIT: Final = 16


def offer_of(much: int) -> Open:
    """One of 256: two bits each for the producer, what it offers, its heartbeat and its instance."""
    stream, numbers = OFFERS[much // 4 % 4]
    heartbeat, instance = HEARTBEATS[much // 16 % 4], INSTANCES[much // 64 % 4]
    return Open(WORKER, stream, numbers, PRODUCERS[much % 4], heartbeat, instance)


def kind_of(offered: Open) -> tuple[str, str]:
    return offered.stream, offered.numbers


@cache
def rank_of(producer: str) -> int:
    return rank(WORKER, producer)


@dataclass(eq=False, kw_only=True)
class Standing:
    """What the rules ask of a connection."""

    opened: Open | None = None
    state: str = "new"
    """`new`, `waiting`, `serving`, `raw` or `over`."""
    joined_at: float = 0.0
    owed: int = 0
    has_stood_by: bool = False
    resume: Resume | None = None
    is_started: bool = False
    offset: int = 0
    served_since: float = 0.0
    settle: float | None = None
    """By which it was handed the stream, if it was."""

    @property
    def score(self) -> tuple[int, str]:
        return rank_of(self.offered.producer), self.offered.instance or ""

    @property
    def offered(self) -> Open:
        assert self.opened is not None
        return self.opened

    @property
    def kind(self) -> tuple[str, str]:
        return kind_of(self.offered)


class Rules:
    """Who is in line, who serves, and what must come of it. `patience` is the factor that every wait is drawn with."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.line: list[Standing] = []
        """Whoever waits, in the order in which they came."""
        self.serving: Standing | None = None
        self.served: Open | None = None
        self.yielded: float | None = None
        """The SETTLE of a hand-over that is under way."""
        self.trusts_rank = True
        self.doublings = 0

    def judge_turn(self, one: Standing, resume: Resume, now: float, *, is_choice_known: bool = True) -> None:
        """One of the line is to serve. Was it its turn?"""
        assert self.serving is None, "two serve"
        assert one in self.line, "one serves that is not in line"
        if is_choice_known:
            self.judge_choice(one, resume)
        self.line.remove(one)
        self.serving, self.served = one, one.offered
        one.state, one.resume, one.served_since = "serving", resume, now
        one.offset = resume.offset or 0
        one.settle = self.yielded if resume.after == "hand-over" else None
        self.yielded = None

    def judge_choice(self, one: Standing, resume: Resume) -> None:
        rivals = self.line_of(one.kind)
        ready = [each for each in rivals if not each.owed] or rivals
        if self.trusts_rank:
            assert one.score == max(each.score for each in ready), "not the best of those that answer"
        else:
            assert one is ready[0], "not the one that has waited longest"
        after = "start" if not one.has_stood_by else "promotion" if self.yielded is None else "hand-over"
        assert resume.after == after

    def line_of(self, kind: tuple[str, str]) -> list[Standing]:
        return [each for each in self.line if each.kind == kind]

    def must_yield(self, serving: Standing, now: float) -> float | None:
        """The SETTLE that is over, if a better one of the line has waited for it."""
        rivals = [each for each in self.line_of(serving.kind) if not each.owed]
        best = max(rivals, key=lambda each: each.score, default=serving)
        if best.score <= serving.score:
            return None
        if serving.settle is not None and now - serving.served_since >= 10 * serving.settle:
            self.doublings = 0
        usual = max(10.0, 10 * max(serving.offered.heartbeat, best.offered.heartbeat))
        settle = min(usual * 2**self.doublings, 3600.0) * self.patience
        return settle if now - best.joined_at >= settle and now - serving.served_since >= settle else None

    def over(self, one: Standing, reason: Reason, now: float) -> None:
        """`one` is over, for whatever reason."""
        if one in self.line:
            self.line.remove(one)
        if reason is Reason.SPARE:
            assert len(self.line) + (self.serving is not None) >= LINE_LIMIT
        if one is self.serving:
            self.serving = None
            self.trusts_rank &= one.is_started
            if one.settle is not None:
                if now - one.served_since >= 10 * one.settle:
                    self.doublings = 0
                elif reason not in (Reason.SHUTDOWN, Reason.YIELD):
                    self.doublings = min(self.doublings + 1, 9)
        one.state = "over"
