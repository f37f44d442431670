"""History: what became of the stream to each worker, whichever link carried it. For observers.

A worker that comes back at another address gets a new link; only what outlives links can see how long it was away.
"""

from __future__ import annotations

from typing import Final, Protocol

from ..clock import Clock
from ..errors import Reason
from ..observe.durations import Durations
from ..observe.interruptions import Interruptions

MOST_DEPARTED: Final = 1000
"""Workers without a link that are remembered: new names may come for ever."""


class History:
    """One worker's history; of none yet while `worker` is None."""

    __slots__ = ("acknowledged", "interruptions", "round_trips", "stream", "target", "worker")

    def __init__(self, interruptions: Interruptions, round_trips: Durations | None) -> None:
        self.worker: str | None = None
        self.target = ""
        """Where it was last reached."""
        self.stream: str | None = None
        """The id of the stream it was sent; None if this producer never served it."""
        self.acknowledged = 0
        """How many numbers it has acknowledged to this producer."""
        self.interruptions = interruptions
        self.round_trips = round_trips


class Owner(Protocol):
    """A link, as far as it has a history."""

    history: History

    @property
    def target(self) -> object: ...


class Histories:
    """Each worker's history, by name. A link holds that of its worker from when it may serve it until another may.

    `keeps_round_trips` costs 2 KB per worker.
    """

    def __init__(self, clock: Clock, *, keeps_round_trips: bool = False) -> None:
        self.departed: dict[str, History] = {}
        """Those of workers that were reached and have no link now, in the order in which they left."""
        self._clock = clock
        self._keeps_round_trips = keeps_round_trips
        self._owners: dict[str, Owner] = {}

    def new(self) -> History:
        """A history of no worker yet."""
        return History(Interruptions(self._clock), Durations() if self._keeps_round_trips else None)

    def take(self, worker: str, link: Owner, now: float) -> None:
        """`link` may serve `worker` now, and continues its history."""
        owner = self._owners.get(worker)
        if owner is link:
            return
        self.leave(link, now)
        if owner is None:
            history = self.departed.pop(worker, None) or self.new()
        else:
            history, owner.history = owner.history, self.new()
        history.worker, history.target = worker, str(link.target)
        self._owners[worker] = link
        link.history = history

    def leave(self, link: Owner, now: float) -> None:
        """`link` has lost its worker, which is interrupted until a link has it again."""
        history, link.history = link.history, self.new()
        if history.worker is None:
            return
        del self._owners[history.worker]
        history.interruptions.lost(Reason.SHUTDOWN, now)
        if history.interruptions.first_proved_at is not None:
            self.departed[history.worker] = history
            if len(self.departed) > MOST_DEPARTED:
                del self.departed[next(iter(self.departed))]
