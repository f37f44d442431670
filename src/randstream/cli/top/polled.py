"""Polled: what a thread of its own asks again and again, so that one which does not answer delays no other."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final

from ...clock import Clock

STALE_SECONDS: Final = 2.5


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of an address at one moment."""

    address: str
    snapshot: dict[str, Any] | None
    """Its last answer, as `read_snapshot` gives it; None: it has not answered."""
    problem: str | None
    """Why the last question got no answer; None: it got one, or is still open."""
    silence: float
    """Seconds since the last answer; before the first, since the start."""
    since: float
    """When that was, in seconds since 1970."""

    @property
    def answers(self) -> bool:
        return self.snapshot is not None and self.silence <= STALE_SECONDS

    @property
    def trouble(self) -> str:
        """Why there is no snapshot."""
        return self.problem or f"no answer from {self.address} yet"


class Polled(ABC):
    """Asks with `ask`, once `start` is called, until `stop` is. Sets `news` after each question."""

    def __init__(self, news: threading.Event | None = None) -> None:
        self.problem: str | None = None
        """As in `Look`."""
        self.is_asked = False
        """Whether the first question is over."""
        self._news = news or threading.Event()
        self._woken = threading.Event()
        self._is_stopped = False
        self._clock = Clock()
        self.heard_at = self._clock.now()
        """When the last answer came, in seconds of the monotonic clock; before the first: the start."""

    @abstractmethod
    def ask(self) -> float:
        """Ask once; give the seconds to wait before the next question."""

    def start(self) -> None:
        threading.Thread(target=self._run, name=type(self).__name__, daemon=True).start()

    def stop(self) -> None:
        self._is_stopped = True
        self.wake()

    def wake(self) -> None:
        """Ask again at once, or as soon as the open question is over."""
        self._woken.set()

    def look_at(self, address: str, snapshot: dict[str, Any] | None) -> Look:
        """The look now. `address`: as it may be shown."""
        silence = self._clock.now() - self.heard_at
        return Look(address, snapshot, self.problem, silence, self._clock.wall_time() - silence)

    def _run(self) -> None:
        while not self._is_stopped:
            delay = self.ask()
            self.is_asked = True
            self._news.set()
            self._woken.wait(delay)
            self._woken.clear()
