"""View: what `top` has of one admin server: its last answer, asked for once a second."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Final

from ...errors import SettingsError
from ..words import plain
from .polled import Look, Polled
from .source import Source

PERIOD_SECONDS: Final = 1.0
FIRST_LINKS: Final = 1000
"""Asked for while only the first are shown, trouble first: ten thousand take 50 ms of the producer's loop."""
MOST_LINKS: Final = 10_000
"""The most that an admin server gives."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Up to `limit` of the links whose worker or peer contains `name_filter`."""

    limit: int = FIRST_LINKS
    name_filter: str = ""


class View(Polled):
    """An admin server's last answer."""

    def __init__(self, source: Source, wanted: Wanted | None = None, news: threading.Event | None = None) -> None:
        super().__init__(news)
        self.source = source
        self.snapshot: dict[str, Any] | None = None
        self._wanted = wanted or Wanted()

    def want(self, wanted: Wanted) -> None:
        """Ask for something else from now on."""
        if wanted != self._wanted:
            self._wanted = wanted
            self.wake()

    def look(self) -> Look:
        return self.look_at(plain(self.source.address), self.snapshot)

    def ask(self) -> float:
        wanted = self._wanted
        try:
            self.snapshot = self.source.fetch(limit=wanted.limit, name_filter=wanted.name_filter)
            self.problem = None
            self.heard_at = self._clock.now()
        except SettingsError as error:
            self.problem = str(error)
        return PERIOD_SECONDS
