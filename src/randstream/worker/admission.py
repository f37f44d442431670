"""Admission: a worker's connections, and how many may take a slot before they have opened a stream."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final, Protocol

from ..errors import Reason

UNOPENED_LIMIT: Final = 16
"""Connections before their `#open`: enough for every legitimate producer. Strangers with more only displace
strangers."""
PARTINGS_LIMIT: Final = 16
"""Peers that get time to read why their connection ends: a thousand refused ones must not keep a thousand sockets."""


class Guest(Protocol):
    """A session, as admission sees it."""

    def end(self, reason: Reason, now: float) -> None:
        """See `Holder`."""


class Admission:
    """Every session enters, opens or not, and leaves."""

    def __init__(self, random: Random) -> None:
        self.present: dict[Guest, None] = {}
        self.unopened: dict[Guest, None] = {}
        self.partings = asyncio.Semaphore(PARTINGS_LIMIT)
        """Held by each session that waits for its peer to read why it ends."""
        self._random = random

    def enter(self, guest: Guest, now: float) -> None:
        """A connection was accepted. If too many have not opened a stream, one of them makes room."""
        if len(self.unopened) >= UNOPENED_LIMIT:
            self._random.choice(list(self.unopened)).end(Reason.BUSY, now)
        self.present[guest] = self.unopened[guest] = None

    def note_opened(self, guest: Guest) -> None:
        """A session has said what it is, and gives up its slot."""
        self.unopened.pop(guest, None)

    def leave(self, guest: Guest) -> None:
        """A session is over."""
        self.unopened.pop(guest, None)
        self.present.pop(guest, None)

    def end_all_but(self, kept: object, reason: Reason, now: float) -> None:
        """End every session but `kept`."""
        for guest in [guest for guest in self.present if guest is not kept]:
            guest.end(reason, now)
