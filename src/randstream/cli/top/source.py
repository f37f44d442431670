"""Source: where `top` asks, and what it was told last."""

from __future__ import annotations

import json
import threading
import time
from http.client import HTTPException
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from ...clock import Clock
from ...errors import SettingsError

PERIOD_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
MOST_LINKS: Final = 1000
"""Asked of each process. Every one has trouble first, so what is cut off is what flows."""


class Source:
    """An admin server's `/api/links`. `url`: `http://host:port`, or `host:port`."""

    def __init__(self, url: str, name_filter: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingsError(f"{url!r} is no address of an admin server; give http://HOST:PORT")
        self.address = parts.netloc
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._filter = name_filter

    def fetch(self, *, limit: int) -> dict[str, Any]:
        """A snapshot as `docs/operations.md` describes it. Raises SettingsError if the server gives none."""
        url = f"{self._base}/api/links?limit={limit}&filter={quote(self._filter)}"
        try:
            with urlopen(Request(url), timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - checked above
                snapshot: dict[str, Any] = json.load(answer)
        except (URLError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise SettingsError(f"no answer from {self._base}: {reason}; start a role with --admin there") from None
        return snapshot


class View:
    """What an admin server said last. A thread of its own asks it, so that one without an answer delays no other."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.snapshot: dict[str, Any] | None = None
        self.problem: SettingsError | None = None
        """Why the last request got no answer; None: it got one."""
        self.asked = threading.Event()
        """Set after the first request."""
        self._clock = Clock()
        self.heard_at = self._clock.now()
        """When the last answer came, in seconds of the monotonic clock; before the first: the start."""

    @property
    def silence(self) -> float:
        """Seconds since `heard_at`."""
        return self._clock.now() - self.heard_at

    def start(self) -> None:
        """Ask once a second for as long as the program runs."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.ask()
            time.sleep(PERIOD_SECONDS)

    def ask(self) -> None:
        """Ask once."""
        try:
            self.snapshot, self.problem = self.source.fetch(limit=MOST_LINKS), None
            self.heard_at = self._clock.now()
        except SettingsError as error:
            self.problem = error
        self.asked.set()
