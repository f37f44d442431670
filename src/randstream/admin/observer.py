"""Observer: looks at a role once a second, and remembers enough for rates and histograms. Changes nothing."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from .. import __version__
from ..errors import SettingsError
from ..numbers.distributions import parse_distribution
from ..observe.interruptions import KEPT
from ..observe.journal import Entry
from ..observe.status import Histogram, LinkState, LinkStatus, ObservedLink, ObservedRole, Snapshot, Totals
from .histogram import Shape, shape_of
from .order import TROUBLE, first_of
from .past import History, Past, name_of

RATE_TICKS: Final = 5
"""Rates are means over this many looks: steady at one number a second, and quick to show a drop."""
SAMPLED_NUMBERS: Final = 1600
SAMPLED_LINKS: Final = 64
"""Numbers sampled each second, and the most links they come from: 1 ms, whatever flows."""
HISTOGRAM_TICKS: Final = 60
HISTORY_TICKS: Final = 120
SHORTEST_SECONDS: Final = 1e-3
"""The smallest divisor for rates."""


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    numbers: int
    offsets: dict[ObservedLink, int]


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """One stream at one moment: the JSON of `/api/stream`. Unless explained, as in `Snapshot`."""

    role: str
    name: str
    """The process's own."""
    time: float
    uptime: float
    numbers: str | None
    rate: float | Literal["max"] | None
    """The most numbers a second that a producer sends; None at a worker."""
    heartbeat: float | None
    """In seconds; None while a worker has had no stream."""
    link: LinkStatus
    """With all interruptions that are kept."""
    history: History | None
    events: list[Entry]
    """Those of this stream among the last of all."""


class Observer:
    """Makes snapshots of `role`. Call `tick` once a second."""

    def __init__(self, role: ObservedRole) -> None:
        self.role = role
        self._clock = role.clock
        self._started_at = self._clock.now()
        self._looks: deque[_Look] = deque(maxlen=RATE_TICKS + 1)
        self._history: deque[float] = deque(maxlen=HISTORY_TICKS)
        self._sampled: deque[NDArray[np.int64]] = deque(maxlen=HISTOGRAM_TICKS)
        self._numbers: str | None = None
        self._shape: Shape | None = None
        self._turn = 0
        self._past = Past()

    def tick(self, now: float) -> None:
        """Look once. `now` is by the role's clock."""
        self._sample()
        numbers = self.role.tally.numbers
        if self._looks:
            last = self._looks[-1]
            self._history.append(round((numbers - last.numbers) / max(now - last.at, SHORTEST_SECONDS), 1))
        # Before a link's first connection its offset, 0, means nothing: it may resume at any offset.
        begun = (link for link in self.role.links if link.offset or link.state is LinkState.STREAMING)
        self._looks.append(_Look(now, numbers, {link: link.offset for link in begun}))
        self._past.look(self.role.links, now)

    def snapshot(
        self,
        *,
        limit: int,
        name_filter: str = "",
        states: Collection[LinkState] = (),
        sort: str = TROUBLE,
        interruptions: int = 0,
    ) -> Snapshot:
        """The role now, with up to `limit` of the links whose worker or peer contains `name_filter`.

        `states`: only links in one of them, if there are any. `sort`: one that `is_sort`. Each link has its last
        `interruptions` interruptions.
        """
        role, tally = self.role, self.role.tally
        now = self._clock.now()
        links = list(role.links)
        wanted = name_filter.casefold()
        matching = [
            link
            for link in links
            if (not states or link.state in states) and (not wanted or wanted in " ".join(link.label).casefold())
        ]
        shown = first_of(matching, limit, sort, lambda link: link.status(now, self._rate(link, now)))
        before = self._looks[0] if self._looks else _Look(now, tally.numbers, {})
        elapsed = max(now - before.at, SHORTEST_SECONDS)
        return Snapshot(
            role=role.role,
            name=role.name,
            version=__version__,
            time=self._clock.wall_time(),
            uptime=now - self._started_at,
            problem=role.problem,
            warning=role.warning,
            numbers=role.numbers,
            totals=Totals(
                links=len(links),
                states={str(state): count for state, count in Counter(link.state for link in links).items()},
                rate=(tally.numbers - before.numbers) / elapsed,
                numbers=tally.numbers,
                number_bytes=tally.number_bytes,
                acked_numbers=tally.acked_numbers,
                reconnects=tally.reconnects,
            ),
            history=list(self._history),
            links=[link.status(now, self._rate(link, now), interruptions) for link in shown],
            left_out=len(matching) - len(shown),
            histogram=self._histogram(),
            events=list(role.journal.entries),
        )

    def stream(self, name: str) -> StreamSnapshot | None:
        """The stream whose worker or peer is called `name`, now; None if there is none."""
        role = self.role
        links = [link for link in role.links if name and name in link.label]
        if not links:
            return None
        link = next((each for each in links if name_of(each) == name), links[0])
        now, wall_time = self._clock.now(), self._clock.wall_time()
        return StreamSnapshot(
            role=role.role,
            name=role.name,
            time=wall_time,
            uptime=now - self._started_at,
            numbers=role.numbers,
            rate="max" if role.rate == math.inf else role.rate,
            heartbeat=role.heartbeat,
            link=link.status(now, self._rate(link, now), KEPT),
            history=self._past.history(name_of(link), now, wall_time),
            events=[entry for entry in role.journal.entries if entry.link in link.label],
        )

    def _rate(self, link: ObservedLink, now: float) -> float:
        before = next((look for look in self._looks if link in look.offsets), None)
        if before is None:
            return 0.0
        # A link that went back to an acknowledged offset has not advanced by a negative number.
        return max(0, link.offset - before.offsets[link]) / max(now - before.at, SHORTEST_SECONDS)

    def _sample(self) -> None:
        numbers = self.role.numbers
        if numbers != self._numbers:
            self._numbers = numbers
            self._shape = None if numbers is None else _find_shape(numbers)
            self._sampled.clear()
        if self._shape is None or not self._looks:
            return
        counts = np.zeros(len(self._shape.expected), np.int64)
        links = self._some_links()
        for link, since in links:
            counts += count_in(self._shape, link.recent_numbers(since, SAMPLED_NUMBERS // len(links)))
        self._sampled.append(counts)

    def _some_links(self) -> list[tuple[ObservedLink, int]]:
        """The next SAMPLED_LINKS of those present at the last look, and their offsets then."""
        before = self._looks[-1].offsets
        if not before:
            return []
        start = self._turn % len(before)
        self._turn = start + SAMPLED_LINKS
        return list(islice(before.items(), start, self._turn))

    def _histogram(self) -> Histogram | None:
        if self._shape is None or not self._sampled:
            return None
        counts = np.sum(self._sampled, axis=0)
        return Histogram(self._shape.edges, self._shape.expected, tuple(counts.tolist()))


def _find_shape(numbers: str) -> Shape | None:
    """The shape of a distribution that a peer may have offered; None if this version does not know it."""
    try:
        return shape_of(parse_distribution(numbers))
    except SettingsError:
        return None


def count_in(shape: Shape, numbers: Any) -> NDArray[np.int64]:
    """How many of `numbers` fall into each bin of `shape`, shape (bins,)."""
    bins = len(shape.expected)
    places = np.searchsorted(np.array(shape.edges[1:-1]), np.asarray(numbers, np.float64), side="right")
    return np.bincount(places, minlength=bins)


def to_json(snapshot: Snapshot | StreamSnapshot) -> bytes:
    """One JSON object, on one line, with the fields of the dataclass."""
    return orjson.dumps(snapshot, option=orjson.OPT_SERIALIZE_NUMPY)
