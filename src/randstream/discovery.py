"""Discovery: from a target's name to addresses that can be dialled."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from time import monotonic
from typing import Final

ANSWER_SECONDS: Final = 1.0
"""How long an answer is shared: ten thousand links to one name ask once, and a pod that moved is found at once."""


class Resolver:
    """Host names to addresses. Literal addresses are their own answer; equal questions share one for ANSWER_SECONDS."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
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
        now = monotonic()
        asked_at, answer = self._answers.get(host, (-ANSWER_SECONDS, None))
        if answer is None or (answer.done() and now - asked_at >= ANSWER_SECONDS):
            answer = self._loop.run_in_executor(None, _look_up, host)
            self._answers[host] = (now, answer)
        try:
            addresses = await asyncio.shield(answer)
        except OSError as error:
            self.problem = f"cannot resolve {host}: {error.strerror or error}"
            raise
        self.problem = None
        return addresses


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
