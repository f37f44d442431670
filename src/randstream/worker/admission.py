"""Admission: which of a worker's connections may speak: those that have yet to open, and the one that has the sink."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final, Protocol

from ..errors import Reason
from ..protocol.frames import Open

UNOPENED_LIMIT: Final = 16
"""Connections before their `#open`. Enough for any rightful producer; a stranger with more only displaces strangers."""
PARTINGS_LIMIT: Final = 16
"""Peers that get time to read why their connection ends: a thousand refused ones must not hold a thousand sockets."""


class Guest(Protocol):
    """A session, as admission sees it."""

    @property
    def offered(self) -> Open | None:
        """What it opened with; None: nothing yet, or a raw peer."""

    def end(self, reason: Reason, now: float) -> None:
        """Close the connection politely. It leaves before this returns."""

    def drain(self, now: float) -> None:
        """End as soon as what has been sent is in the sink and acknowledged."""

    async def wait_over(self) -> None:
        """Wait until it has left."""


class Admission:
    """Every session enters, is admitted or not, and leaves."""

    def __init__(self, random: Random) -> None:
        self.live: Guest | None = None
        """The one that has the sink."""
        self.partings = asyncio.Semaphore(PARTINGS_LIMIT)
        """Held by each session that waits for its peer to read why it ends."""
        self._random = random
        self.present: dict[Guest, None] = {}
        self.unopened: dict[Guest, None] = {}

    def enter(self, guest: Guest, now: float) -> None:
        """A connection was accepted. When too many have not opened, one of them makes room."""
        if len(self.unopened) >= UNOPENED_LIMIT:
            self._random.choice(list(self.unopened)).end(Reason.BUSY, now)
        self.present[guest] = self.unopened[guest] = None

    def admit(self, guest: Guest, offered: Open, now: float) -> bool:
        """Whether `guest`, which offers a stream, gets the sink; an older connection of that stream has then ended."""
        self.unopened.pop(guest, None)
        older = self.live
        if older is not None:
            if older.offered is not None and older.offered.stream != offered.stream:
                return False
            older.end(Reason.TAKEOVER, now)
        self.live = guest
        return True

    def admit_raw(self, guest: Guest) -> bool:
        """Whether `guest`, which sends bare numbers, gets the sink."""
        self.unopened.pop(guest, None)
        if self.live is not None:
            return False
        self.live = guest
        return True

    def leave(self, guest: Guest) -> bool:
        """A session is over; whether it had the sink."""
        self.unopened.pop(guest, None)
        self.present.pop(guest, None)
        if self.live is not guest:
            return False
        self.live = None
        return True

    def end_others(self, reason: Reason, now: float) -> None:
        """End every session but the one that has the sink."""
        for guest in [guest for guest in self.present if guest is not self.live]:
            guest.end(reason, now)
