"""Dns: the questions that a producer asks the machine's resolver and its name servers. It remembers nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..errors import shortage_of, words_of
from ..net.descriptors import check_descriptors
from ..settings import Target

if TYPE_CHECKING:
    from dns.name import Name
    from dns.resolver import Answer, Resolver

NAME_SECONDS: Final = 10.0
"""How long a question about one name may take, with all its retries: two rounds of two name servers, with two seconds
each. Every name of the search list has as long."""

LATE_SECONDS: Final = 3.0
"""After this long, a question without an answer is reported as a problem; a late answer is still used."""

Found = TypeVar("Found")


class LookUpError(OSError):
    """DNS did not say which workers a service has. The message leaves out details that change with every question."""


class Dns:
    """Addresses of names, and workers of services. It is passed in, so a test can pass another."""

    def __init__(self) -> None:
        self._resolver: Resolver | None = None

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        """The addresses of `host`, in the resolver's order; never empty. Fails with OSError (`socket.gaierror`)."""
        return _in_thread(lambda: _look_up_addresses(host))

    async def look_up_workers(self, service: Target, kind: str) -> tuple[tuple[Target, ...], float]:
        """The workers that the records of this `kind` (see `kinds_of`) name now, and for how many seconds.

        Raises:
            LookUpError: DNS did not say.
        """
        return await _in_thread(lambda: self._look_up_workers(service, kind))

    def make_resolver(self) -> Resolver:
        """A resolver set up as the machine is. Blocks: it reads `/etc/resolv.conf`."""
        from dns.resolver import Resolver  # 0.15 s, and only for services

        return Resolver()

    def _look_up_workers(self, service: Target, kind: str) -> tuple[tuple[Target, ...], float]:
        from dns.exception import DNSException

        try:
            resolver = self._resolver = self._resolver or self.make_resolver()
            return _look_up_workers(service, kind, resolver)
        except (DNSException, OSError) as error:
            self._resolver = None  # the machine's DNS settings may have changed
            try:
                check_descriptors()
            except OSError as shortage:
                raise LookUpError(words_of(shortage)) from error
            raise LookUpError(_reason(error)) from error


def kinds_of(service: Target) -> tuple[str, ...]:
    """The kinds of records that name its workers, each a question of its own."""
    return ("SRV",) if service.scheme == "srv" else ("A", "AAAA")


def _in_thread(function: Callable[[], Found]) -> asyncio.Future[Found]:
    """Run `function` on a thread of its own, which delays neither other questions nor the exit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Found] = loop.create_future()

    def settle(give: Callable[[Any], None], outcome: object) -> None:
        if not answer.done():
            give(outcome)

    def work() -> None:
        give: Callable[[Any], None]
        outcome: object
        try:
            give, outcome = answer.set_result, function()
        except Exception as error:
            give, outcome = answer.set_exception, error
        with suppress(RuntimeError):  # the loop is closed, and nothing waits for the answer
            loop.call_soon_threadsafe(settle, give, outcome)

    Thread(target=work, name="dns", daemon=True).start()
    return answer


def _look_up_addresses(host: str) -> list[str]:
    try:
        return _ask_system(host, socket.AF_UNSPEC)
    except OSError as error:  # where its errno comes from the system, a plug-in of the C library may have spoilt it
        check_descriptors()
        if error.errno == socket.EAI_MEMORY:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from error
        # The C library may give up on both families when one fails, so ask for each alone.
        for family in (socket.AF_INET, socket.AF_INET6):
            with suppress(OSError):
                return _ask_system(host, family)
        raise


def _ask_system(host: str, family: socket.AddressFamily) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is not a host name: {error}") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _look_up_workers(service: Target, kind: str, resolver: Resolver) -> tuple[tuple[Target, ...], float]:
    from dns.exception import DNSException
    from dns.resolver import NXDOMAIN

    failure: Exception | None = None
    for name in _names_to_try(service.host, resolver):
        try:
            answer = resolver.resolve(name, kind, search=False, raise_on_no_answer=False, lifetime=NAME_SECONDS)
        except NXDOMAIN:
            continue  # what a service without pods looks like
        except (DNSException, OSError) as error:  # it says nothing about the other names
            failure = failure or error
            continue
        _prefer(answer.nameserver, resolver)
        if answer.rrset is not None:
            return tuple(sorted(_workers_in(answer, service), key=str)), answer.rrset.ttl
    if failure is not None:
        raise failure
    return (), 0.0


def _names_to_try(host: str, resolver: Resolver) -> list[Name]:
    """What a short name may mean, likeliest first, as in the C library (resolv.conf(5): `search`, `ndots`)."""
    import dns.name

    name = dns.name.from_text(host, None)
    if name.is_absolute():
        return [name]
    as_is = [name + dns.name.root]
    longer = []
    for suffix in resolver.search or [resolver.domain]:
        with suppress(dns.name.NameTooLong):  # it says nothing of the other names
            longer += [name + suffix] if suffix != dns.name.root else []
    dots = len(name) - 1
    return as_is + longer if dots >= (1 if resolver.ndots is None else resolver.ndots) else longer + as_is


def _prefer(nameserver: object, resolver: Resolver) -> None:
    """Put the server that has just answered first: each question would otherwise wait out the silent ones before it."""
    resolver.nameservers = sorted(resolver.nameservers, key=lambda each: each != nameserver)


def _workers_in(answer: Answer, service: Target) -> set[Target]:
    if answer.rdtype.name != "SRV":
        return {Target("stream", record.address, service.port) for record in answer}
    # In lower case: name servers may spell one name in several ways (RFC 4343), and it is still one worker.
    named = {(record.target.canonicalize().to_text(omit_final_dot=True), record.port) for record in answer}
    return {Target("stream", host, port) for host, port in named if host not in ("", ".") and port}  # RFC 2782: "."


def _reason(error: Exception) -> str:
    """Describe `error` without details that change with every question, such as how long it took."""
    from dns.exception import Timeout
    from dns.resolver import NoNameservers

    match error:
        case Timeout() | NoNameservers():
            return "no name server gives an answer"
        case OSError():
            return shortage_of(error) or error.strerror or str(error)
        case _:
            return str(error)
