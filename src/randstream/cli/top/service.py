"""Service: the admin servers that DNS names, as they come and go. Asks as a producer asks for its workers."""

from __future__ import annotations

import asyncio
import threading
from typing import Final

from ...producer.discovery import refresh_delay
from ...producer.dns import Dns, LookUpError, kinds_of
from ...settings.addresses import Target, check_target
from .polled import Look, Polled

MOST_PROCESSES: Final = 256
"""Each has a thread here."""


class Service(Polled):
    """Those that a `srv://` or `dns://` target names."""

    def __init__(self, target: Target, dns: Dns, news: threading.Event | None = None) -> None:
        super().__init__(news)
        self.addresses: tuple[str, ...] = ()
        """HOST:PORT of each, as far as known."""
        self._target = target
        self._dns = dns

    def look(self) -> Look | None:
        """What is wrong; None: nothing is."""
        if self.is_asked and self.problem is None:
            return None
        return self.look_at(str(self._target), None)

    def ask(self) -> float:
        named: set[str] = set()
        failure, delays = None, []
        for kind in kinds_of(self._target):
            try:
                targets, time_to_live = asyncio.run(self._dns.look_up_workers(self._target, kind))
            except LookUpError as error:
                failure = f"cannot look up {self._target}: {error}"
                named |= set(self.addresses)  # it may still name those
            else:
                named |= {str(target) for target in targets if _is_usable(target)}
                delays.append(refresh_delay(time_to_live))
        self.addresses = tuple(sorted(named)[:MOST_PROCESSES])
        if len(named) > MOST_PROCESSES:
            self.problem = f"{self._target} names {len(named):,} processes; {MOST_PROCESSES} of them are shown"
        elif named and delays:
            self.problem = None
        else:
            self.problem = failure or f"{self._target} names no process; give a service of admin ports"
        if self.problem is None:
            self.heard_at = self._clock.now()
        return min(delays, default=refresh_delay(0.0))


def _is_usable(target: Target) -> bool:
    """Whether it is a host and a port, and nothing that a URL would read otherwise."""
    try:
        return check_target(str(target)) == target
    except ValueError:
        return False
