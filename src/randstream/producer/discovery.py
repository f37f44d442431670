"""Discovery: from a target's name to addresses that can be dialled, and from a service's name to its workers."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog

from ..settings import Target

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver as DnsResolver

ANSWER_SECONDS: Final = 1.0
"""How long an answer is shared: ten thousand links to one name ask once, and a pod that moved is found at once."""

REFRESH_SECONDS: Final = (1.0, 5.0)
"""A service is asked for again when its answer's time to live is over, within these bounds: DNS is not pestered, and a
pod that came or went is noticed in time."""
QUESTION_SECONDS: Final = 3.0
"""How long a question may take, with all its repetitions. A producer that ends waits for one under way."""

log = structlog.get_logger("randstream")


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
            answer.add_done_callback(_note_heard)
            self._answers[host] = (now, answer)
        try:
            addresses = await asyncio.shield(answer)
        except OSError as error:
            self.problem = f"cannot resolve {host}: {error.strerror or error}"
            raise
        self.problem = None
        return addresses


def _note_heard(answer: asyncio.Future[list[str]]) -> None:
    """Whoever asked may have given up since: asyncio must not log a failure as one that nobody heard of."""
    if not answer.cancelled():
        answer.exception()


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _look_up(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name: {error}") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Watch:
    """Keeps asking DNS which workers a `srv://` or `dns://` target stands for, and calls `on_answer` with them.

    A service without workers is an empty answer. A question that fails is none: it changes nothing but `problem`.
    """

    def __init__(self, target: Target, on_answer: Callable[[Watch, tuple[Target, ...]], None]) -> None:
        self.target = target
        self.problem: str | None = f"{target} is not looked up yet"
        """Why the workers are not known now; None while they are."""
        self._on_answer = on_answer
        self._resolver: DnsResolver | None = None

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
        """Ask once: the workers, None if DNS does not say; and for how many seconds that will do."""
        from dns.exception import DNSException

        try:
            if self._resolver is None:
                self._resolver = await asyncio.to_thread(make_resolver)
            workers, time_to_live = await _look_up_workers(self.target, self._resolver)
        except (DNSException, OSError) as error:
            self._resolver = None  # what the machine's DNS settings are may have changed
            self._note(f"cannot look up {self.target}: {_reason(error)}")
            return None, 0.0
        self._note(None if workers else f"{self.target} names no worker")
        return workers, time_to_live

    def _note(self, problem: str | None) -> None:
        was, self.problem = self.problem, problem
        if problem == was:
            return
        if problem is None:
            log.info("discovery.working", target=str(self.target))
        else:
            log.warning("discovery.failing", target=str(self.target), error=problem)


def refresh_delay(time_to_live: float) -> float:
    """How long to wait before the next question, in seconds."""
    shortest, longest = REFRESH_SECONDS
    return min(max(time_to_live, shortest), longest)


def make_resolver() -> DnsResolver:
    """A resolver set up as the machine is: it reads `/etc/resolv.conf`."""
    from dns.asyncresolver import Resolver  # 0.15 s, and only for who watches a service

    return Resolver()


async def _look_up_workers(service: Target, resolver: DnsResolver) -> tuple[tuple[Target, ...], float]:
    """The workers that a `srv://` or `dns://` target names now, and for how many seconds that holds.

    Raises:
        dns.exception.DNSException, OSError: DNS did not say.
    """
    from dns.resolver import NXDOMAIN

    found: set[tuple[str, int]] = set()
    lives: list[int] = []
    for kind in ("SRV",) if service.scheme == "srv" else ("A", "AAAA"):
        try:
            answer = await resolver.resolve(
                service.host, kind, search=True, raise_on_no_answer=False, lifetime=QUESTION_SECONDS
            )
        except NXDOMAIN:
            continue  # what a service without pods looks like
        for record in answer.rrset or ():
            if kind == "SRV":
                found.add((record.target.to_text(omit_final_dot=True), record.port))
            else:
                found.add((record.address, service.port))
        lives += [] if answer.rrset is None else [answer.rrset.ttl]
    return tuple(Target("stream", host, port) for host, port in sorted(found)), min(lives, default=0)


def _reason(error: Exception) -> str:
    """Without the details that change with every question, such as how long it took."""
    from dns.exception import Timeout
    from dns.resolver import NoNameservers

    match error:
        case Timeout() | NoNameservers():
            return "no name server gives an answer"
        case OSError():
            return error.strerror or str(error)
        case _:
            return str(error)
