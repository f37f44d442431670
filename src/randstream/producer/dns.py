"""Dns: the questions that a producer asks of the machine's resolver and of its name servers. It remembers nothing."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, Final

from ..errors import shortage_of, words_of
from ..net.descriptors import check_descriptors
from ..settings import Target

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver

QUESTION_SECONDS: Final = 3.0
"""How long a question about a service may take, with all its repetitions. A producer that ends waits for the answer."""


class LookUpError(OSError):
    """DNS did not say which workers a service has. The message leaves out what changes with every question."""


class Dns:
    """Addresses of names, and workers of services. It is handed in, so that a test can hand in another."""

    def __init__(self) -> None:
        self._resolver: Resolver | None = None

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        """The addresses of `host`, in the resolver's order; never empty. Fails with OSError (`socket.gaierror`)."""
        return asyncio.get_running_loop().run_in_executor(None, _look_up_addresses, host)

    async def look_up_workers(self, service: Target) -> tuple[tuple[Target, ...], float]:
        """The workers that a `srv://` or `dns://` target names now, and for how many seconds that holds.

        Raises:
            LookUpError: DNS did not say.
        """
        from dns.exception import DNSException

        try:
            if self._resolver is None:
                self._resolver = await asyncio.to_thread(self.make_resolver)
            return await _look_up_workers(service, self._resolver)
        except (DNSException, OSError) as error:
            self._resolver = None  # the machine's DNS settings may have changed
            try:
                check_descriptors()
            except OSError as shortage:
                raise LookUpError(words_of(shortage)) from error
            raise LookUpError(_reason(error)) from error

    def make_resolver(self) -> Resolver:
        """A resolver set up as the machine is. Blocks: it reads `/etc/resolv.conf`."""
        from dns.asyncresolver import Resolver  # 0.15 s, and only for services

        return Resolver()


def _look_up_addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        check_descriptors()
        if error.errno == socket.EAI_MEMORY:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)) from error
        raise
    except UnicodeError as error:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name: {error}") from None
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _look_up_workers(service: Target, resolver: Resolver) -> tuple[tuple[Target, ...], float]:
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
            return shortage_of(error) or error.strerror or str(error)
        case _:
            return str(error)
