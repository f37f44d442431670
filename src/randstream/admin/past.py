"""Past: the rate, the lag and the round trip of each stream, for hours and days. Bounded; it only looks.

Two hours of minutes show an incident, two days of hours what is usual at this time of day.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..observe.status import LinkState, ObservedLink

MINUTES: Final = 120
HOURS: Final = 48
"""Steps kept, the current one included: 2 kB a stream."""
SAMPLED_STREAMS: Final = 1000
"""Looked at each second, in turn: 1 ms. Ten thousand are each looked at every ten seconds."""
MOST_STREAMS: Final = 10_000
"""Those with a past, which is 20 MB after two days. Others have none."""
MOST_DEPARTED: Final = 1000
"""Of those, streams that have no link now, such as that of a worker which restarts at another address."""
TIDY_SECONDS: Final = 60.0
"""How often departed streams are looked for: 3 ms for ten thousand links."""
SHORTEST_SECONDS: Final = 0.5
"""A rate over less would be noise."""
MOST_ROOT: Final = 65504.0
"""The greatest float16."""
FLOWING: Final = (LinkState.STREAMING, LinkState.STALLED)


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each step, oldest first, to 0.1 %; NaN where nothing was known."""

    mean: NDArray[np.float32]
    highest: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Course:
    """What one stream did, step by step."""

    step: int
    """Seconds."""
    start: float
    """When the first step began, in seconds since 1970. The last one goes on."""
    rate: Series
    """Numbers a second; 0 while the stream does not flow, or another producer serves it."""
    lag: Series
    """Numbers that are not acknowledged."""
    round_trip: Series
    """Seconds."""


@dataclass(frozen=True, slots=True)
class History:
    """The past of one stream."""

    minutes: Course
    hours: Course


def name_of(link: ObservedLink) -> str:
    """The stream's name: its worker, or the peer if that is unknown or another link has it."""
    worker, peer = link.label
    return worker if worker and link.state is not LinkState.RESTING else peer


class Past:
    """The past of all streams, by name. Call `look` once a second."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._free: list[int] = []
        self._minutes = _Steps(60, MINUTES)
        self._hours = _Steps(3600, HOURS)
        self._turn = 0
        self._tidy_due = -math.inf

    def look(self, links: Sequence[ObservedLink], now: float) -> None:
        """Sample the next SAMPLED_STREAMS of `links`. `now` is monotonic."""
        if now >= self._tidy_due:
            self._tidy(links)
            self._tidy_due = now + TIDY_SECONDS
        columns: list[int] = []
        values: list[tuple[float, float, float]] = []
        for link in self._next(links):
            place = self._find_place(name_of(link), now)
            if place is not None and now - place.seen >= SHORTEST_SECONDS:
                columns.append(place.column)
                values.append(place.measure(link, now))
        for steps in (self._minutes, self._hours):
            steps.add(now, np.array(columns, np.intp), np.array(values, np.float64).reshape(-1, 3).T)

    def history(self, name: str, now: float, wall_time: float) -> History | None:
        """The past of the stream called `name`; None if it has none. `wall_time` is that of `now`."""
        place = self._places.get(name)
        if place is None:
            return None
        minutes, hours = (
            steps.course(place.column, place.since, wall_time - now) for steps in (self._minutes, self._hours)
        )
        return History(minutes, hours)

    def _next(self, links: Sequence[ObservedLink]) -> Iterable[ObservedLink]:
        start = self._turn if self._turn < len(links) else 0
        self._turn = start + SAMPLED_STREAMS
        return links[start : self._turn]

    def _find_place(self, name: str, now: float) -> _Place | None:
        place = self._places.get(name)
        if place is None and len(self._places) < MOST_STREAMS:
            column = heappop(self._free) if self._free else len(self._places)
            self._minutes.clear(column)
            self._hours.clear(column)
            place = self._places[name] = _Place(column, now)
        return place

    def _tidy(self, links: Sequence[ObservedLink]) -> None:
        """Forget the streams that departed first, if they are too many or in the way."""
        present = set(map(name_of, links))
        departed = sorted(self._places.keys() - present, key=lambda name: self._places[name].seen)
        for name in departed:
            self._places[name].link = None
        kept = max(0, min(MOST_DEPARTED, MOST_STREAMS - len(present)))
        for name in departed[: max(0, len(departed) - kept)]:
            heappush(self._free, self._places.pop(name).column)


@dataclass(slots=True)
class _Place:
    """Where a stream's values are, since when, and what it was at the last look."""

    column: int
    since: float
    seen: float = -math.inf
    link: ObservedLink | None = None
    """The link if it flowed then. Only what one link has sent between two looks counts as its rate."""
    offset: int = 0

    def measure(self, link: ObservedLink, now: float) -> tuple[float, float, float]:
        """Rate, lag and round trip of the stream now; NaN where unknown."""
        offset, trip, rate = link.offset, None, 0.0
        if link.state in FLOWING:
            # A link may go back to an acknowledged offset.
            rate = max(0, offset - self.offset) / (now - self.seen) if link is self.link else math.nan
            trip = link.round_trip
            self.link = link
        else:
            self.link = None
        self.offset, self.seen = offset, now
        return rate, max(0, offset - link.acked_offset), math.nan if trip is None else trip


class _Steps:
    """Means and maxima of each of the last `kept` steps of `seconds`, a column for each stream."""

    def __init__(self, seconds: int, kept: int) -> None:
        self._seconds = seconds
        self._kept = kept
        self._number: int | None = None
        """Of the current step; None before the first."""
        self._closed: deque[tuple[int, NDArray[np.float16]]] = deque()
        """The steps before it: the number, and the packed values, shape (2, 3, columns)."""
        self._open()

    def _open(self) -> None:
        self._counts = np.zeros((3, 0), np.int64)
        self._sums = np.zeros((3, 0))
        self._highest = np.zeros((3, 0))

    def add(self, now: float, columns: NDArray[np.intp], values: NDArray[np.float64]) -> None:
        """Add a sample: `values`, shape (3, n), to n different columns."""
        number = int(now // self._seconds)
        if self._number is None or number > self._number:
            if self._number is not None:
                self._closed.append((self._number, _pack(self._values())))
            while self._closed and self._closed[0][0] <= number - self._kept:
                self._closed.popleft()
            self._number = number
            self._open()
        missing = int(columns.max(initial=-1)) + 1 - self._counts.shape[1]
        if missing > 0:
            self._widen(missing)
        known = ~np.isnan(values)
        self._counts[:, columns] += known
        self._sums[:, columns] += np.where(known, values, 0.0)
        self._highest[:, columns] = np.fmax(self._highest[:, columns], values)

    def clear(self, column: int) -> None:
        """A new stream gets `column`: forget what the current step has of the one before."""
        self._counts[:, column : column + 1] = 0
        self._sums[:, column : column + 1] = 0.0
        self._highest[:, column : column + 1] = math.nan

    def course(self, column: int, since: float, ahead: float) -> Course:
        """Those of the stream that has `column` since `since`. `ahead`: from the monotonic to the wall's clock."""
        first = int(since // self._seconds)
        steps: list[tuple[int, NDArray[Any]]] = [
            (number, _unpack(packed[..., column]))
            for number, packed in self._closed
            if number >= first and column < packed.shape[2]
        ]
        if self._number is not None and column < self._counts.shape[1]:
            steps.append((self._number, self._values()[..., column]))
        begin, end = (steps[0][0], steps[-1][0] + 1) if steps else (first, first)
        found = np.full((2, 3, end - begin), math.nan, np.float32)
        for number, values in steps:
            found[..., number - begin] = values
        rate, lag, round_trip = (Series(found[0, value], found[1, value]) for value in range(3))
        return Course(self._seconds, begin * self._seconds + ahead, rate, lag, round_trip)

    def _values(self) -> NDArray[np.float64]:
        means = np.full_like(self._sums, math.nan)
        np.divide(self._sums, self._counts, out=means, where=self._counts > 0)
        return np.stack([means, self._highest])

    def _widen(self, columns: int) -> None:
        more = (0, 0), (0, columns)
        self._counts = np.pad(self._counts, more)
        self._sums = np.pad(self._sums, more)
        self._highest = np.pad(self._highest, more, constant_values=math.nan)


def _pack(values: NDArray[np.float64]) -> NDArray[np.float16]:
    """Half the memory of float32: the square root of anything from microseconds to billions fits into a float16."""
    return np.minimum(np.sqrt(values), MOST_ROOT).astype(np.float16)


def _unpack(packed: NDArray[np.float16]) -> NDArray[np.float32]:
    return np.square(packed.astype(np.float32))
