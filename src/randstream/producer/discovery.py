"""Discovery: remembers for a moment what DNS says of names, and keeps asking it which workers a service has."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from ..clock import Clock
from ..errors import shortage_of
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..settings import Target
from .dns import Dns, LookUpError

ANSWER_SECONDS: Final = 1.0
"""How long an answer is shared: ten thousand links to one name ask once, and a pod that moved is found at once."""

REFRESH_SECONDS: Final = (1.0, 5.0)
"""A service is asked for again when its answer's time to live is over, within these bounds: DNS is not pestered, and a
pod that came or went is noticed in time."""

log = structlog.get_logger("randstream")


class Resolver:
    """Host names to addresses. Literal addresses are their own answer; equal questions share one for ANSWER_SECONDS."""

    def __init__(self, dns: Dns, clock: Clock) -> None:
        self._dns = dns
        self._clock = clock
        self._answers: dict[str, tuple[float, asyncio.Future[list[str]]]] = {}
        self.problem: str | None = None
        """Why the last name that was looked up could not be found; None if it was."""

    async def resolve(self, host: str) -> list[str]:
        """The addresses of `host`, in the resolver's order; never empty.

        Raises:
            OSError: the name does not resolve (`socket.gaierror`).
        """
        if _is_literal(host):
            return [host]
        now = self._clock.now()
        asked_at, answer = self._answers.get(host, (-ANSWER_SECONDS, None))
        if answer is None or (answer.done() and now - asked_at >= ANSWER_SECONDS):
            answer = self._dns.look_up_addresses(host)
            answer.add_done_callback(_note_heard)
            self._answers[host] = (now, answer)
        try:
            addresses = await asyncio.shield(answer)
        except OSError as error:
            self.problem = f"cannot resolve {host}: {shortage_of(error) or error.strerror or error}"
            raise
        self.problem = None
        return addresses


def _note_heard(answer: asyncio.Future[list[str]]) -> None:
    """Mark a failure as seen: those who asked may have given up, and asyncio would log it."""
    if not answer.cancelled():
        answer.exception()


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Watch:
    """Keeps asking DNS which workers a `srv://` or `dns://` target stands for, and calls `on_answer` with them.

    A service without workers is an empty answer. A question that fails is none: it changes nothing but `problem`.
    """

    def __init__(
        self, target: Target, dns: Dns, on_answer: Callable[[Watch, tuple[Target, ...]], None], clock: Clock
    ) -> None:
        self.target = target
        self.problem: str | None = f"{target} is not looked up yet"
        """Why the workers are not known now; None while they are."""
        self._dns = dns
        self._on_answer = on_answer
        self._clock = clock
        self._lines = Throttle(LINES_A_MINUTE)

    async def run(self, stopping: asyncio.Event) -> None:
        """Ask until `stopping`. A question under way ends by itself: cancelled, it may leave uvloop an open socket."""
        while not stopping.is_set():
            workers, time_to_live = await self._ask()
            if workers is not None and not stopping.is_set():
                self._on_answer(self, workers)
            with suppress(TimeoutError):
                async with asyncio.timeout(refresh_delay(time_to_live)):
                    await stopping.wait()

    async def _ask(self) -> tuple[tuple[Target, ...] | None, float]:
        """Ask once: the workers, None if DNS does not say; and for how many seconds the answer holds."""
        try:
            workers, time_to_live = await self._dns.look_up_workers(self.target)
        except LookUpError as error:
            self._note(f"cannot look up {self.target}: {error}")
            return None, 0.0
        self._note(None if workers else f"{self.target} names no worker")
        return workers, time_to_live

    def _note(self, problem: str | None) -> None:
        was, self.problem = self.problem, problem
        if problem == was:
            return
        now, target = self._clock.now(), str(self.target)
        if problem is None:
            self._lines.say(log.info, "discovery.working", now, target=target)
        else:
            self._lines.say(log.warning, "discovery.failing", now, target=target, error=problem)


def refresh_delay(time_to_live: float) -> float:
    """How long to wait before the next question, in seconds."""
    shortest, longest = REFRESH_SECONDS
    return min(max(time_to_live, shortest), longest)
