"""Resolver: host names to addresses. An answer is shared for a moment, and used however late it comes."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

from ..errors import shortage_of
from ..net.timers import TimerWheel
from .dns import LATE_SECONDS, Dns
from .places import Places, Standing

ANSWER_SECONDS: Final = 1.0
"""How long an answer is shared: ten thousand links to one name ask once, and a pod that has moved is found at once."""
LOOK_UPS_AT_ONCE: Final = 32
MOST_LATE_LOOK_UPS: Final = 512
"""Each has a thread, and the C library may ask silent name servers for minutes."""


class Name:
    """A host name: the pending question or the last answer, when that came, and what is known about the name."""

    __slots__ = ("answer", "answered_at", "standing")

    def __init__(self) -> None:
        self.answer: asyncio.Future[list[str]] | None = None
        self.answered_at = 0.0
        self.standing = Standing()


class Resolver:
    """Literal addresses are their own answer; equal questions share one until ANSWER_SECONDS after it came.

    Only questions that have a place are asked: names whose servers are silent do not keep others waiting.
    """

    def __init__(self, dns: Dns, wheel: TimerWheel) -> None:
        self._dns = dns
        self._wheel = wheel
        self._clock = wheel.clock
        self._names: dict[str, Name] = {}
        self._places = Places(wheel, LOOK_UPS_AT_ONCE, MOST_LATE_LOOK_UPS)
        self.problem: str | None = None
        """Why the last look-up found nothing; None if it found something."""

    async def resolve(self, host: str) -> list[str]:
        """The addresses of `host`, in the resolver's order; never empty. It takes as long as DNS does.

        Raises:
            OSError: the name does not resolve (`socket.gaierror`).
        """
        if _is_literal(host):
            return [host]
        name = self._names.setdefault(host, Name())
        answer = name.answer
        if answer is None or (answer.done() and self._clock.now() - name.answered_at >= ANSWER_SECONDS):
            answer = name.answer = asyncio.get_running_loop().create_future()
            self._ask(host, name, answer)
        return await asyncio.shield(answer)

    def _ask(self, host: str, name: Name, answer: asyncio.Future[list[str]]) -> None:
        """Ask when there is a place; `answer` gets the result."""

        def begin() -> None:
            late.set(self._clock.now() + LATE_SECONDS)
            question = self._dns.look_up_addresses(host)
            question.add_done_callback(on_answer)

        def on_late(now: float) -> None:
            name.standing.is_silent = True
            self.problem = f"cannot resolve {host}: no name server has answered yet"

        def on_answer(question: asyncio.Future[list[str]]) -> None:
            late.forget()
            self._places.leave(place)
            name.answered_at = self._clock.now()
            error = None if question.cancelled() else question.exception()
            if answer.done() or question.cancelled():  # the loop is ending
                answer.cancel()
            elif error is None:
                name.standing = Standing(has_answered=True)
                self.problem = None
                answer.set_result(question.result())
            else:
                if isinstance(error, OSError):
                    name.standing.is_silent |= error.errno == socket.EAI_AGAIN
                    self.problem = f"cannot resolve {host}: {shortage_of(error) or error.strerror or error}"
                answer.set_exception(error)
                answer.exception()  # the callers may have given up, and asyncio would log it

        late = self._wheel.alarm(on_late)
        place = self._places.ask(name.standing, begin)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
