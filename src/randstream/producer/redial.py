"""Redial: when a link dials again: within a second if its worker was there a moment ago, rarely if it was sent away.

Pure: never reads a clock.
"""

from __future__ import annotations

import math
from random import Random
from typing import Generic

from ..backoff import Backoff
from ..errors import Reason, is_transient, reason_of
from .haste import HASTE_SECONDS, Each, Haste


class Redial(Generic[Each]):
    """The delays of `link`. `longest`: of the ordinary ones, in seconds; `haste`: that of all links."""

    def __init__(self, link: Each, haste: Haste[Each], random: Random, longest: float) -> None:
        self._link = link
        self._haste = haste
        self._backoff = Backoff(random, longest)
        self._hurries_until = -math.inf
        self._has_progressed = False

    def hurry(self, now: float) -> None:
        """The worker is expected from `now` on."""
        self._hurries_until = now + HASTE_SECONDS

    def prove(self) -> None:
        """The peer has proved itself: after the next loss, the first delay is short again."""
        self._backoff.reset()
        self._has_progressed = True

    def stand_by(self) -> None:
        """The link stands in the line of its worker: the next time that one is full counts as the first."""
        self._backoff.reset_spare()

    def delay_after(self, error: Exception, held: float, now: float) -> float:
        """Seconds from `now`, when `error` ended a connection that was up for `held` seconds, or an attempt at one."""
        if self._has_progressed:
            self._has_progressed = False
            self.hurry(now)
        match reason_of(error):
            case Reason.TAKEOVER:
                return self._backoff.succession_delay(held)
            case Reason.SPARE:
                return self._backoff.spare_delay()
            case Reason.SHORTAGE:  # on this machine: a quick retry does not cure it
                return self._backoff.delay()
        if not is_transient(error):
            return self._backoff.longest_delay()
        return self._backoff.delay(self.limit(now))

    def limit(self, now: float) -> float | None:
        """The longest delay while the worker is expected, as `Haste.miss` gives it; None: it no longer is."""
        return self._haste.miss(self._link, self._hurries_until, now)

    def forget(self) -> None:
        """The link is connected, or has ended."""
        self._haste.forget(self._link)
