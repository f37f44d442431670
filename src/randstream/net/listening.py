"""Listening: one port on every address that a host stands for, and where a person reaches it."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from ..settings import Address

ALL_ADDRESSES: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - of both families, and the loopback of each
ATTEMPTS: Final = 10
"""At finding a free port: it may be taken on only one of the addresses."""
ABSENT: Final = (None, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""Errors for an address or a family that this machine lacks; Python 3.12 and newer give no number."""


async def listen(
    make_server: Callable[[str, int], Awaitable[asyncio.Server]], address: Address
) -> list[asyncio.Server]:
    """Start a server on each address that the host stands for, all on one port. An empty host means every address.

    Raises:
        OSError: the name does not resolve, the port is taken, or the machine has none of the addresses.
    """
    if address.host:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        hosts = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    else:
        hosts = list(ALL_ADDRESSES)
    for left in range(ATTEMPTS - 1, -1, -1):
        try:
            return await _listen_on(hosts, make_server, address.port)
        except OSError as error:
            if address.port or error.errno != errno.EADDRINUSE or not left:
                raise
    raise AssertionError("the last attempt returns or raises")


async def _listen_on(
    hosts: list[str], make_server: Callable[[str, int], Awaitable[asyncio.Server]], port: int
) -> list[asyncio.Server]:
    servers: list[asyncio.Server] = []
    absent: OSError | None = None
    for host in hosts:
        try:
            server = await make_server(host, port)
        except OSError as error:
            if error.errno in ABSENT:
                absent = error
                continue
            for each in servers:
                each.close()
            raise
        if server.sockets:  # asyncio leaves out a family that the machine lacks
            servers.append(server)
            port = server.sockets[0].getsockname()[1]
    if not servers:
        raise absent or OSError(errno.EADDRNOTAVAIL, "no such address here")
    return servers


def reachable(host: str, port: int) -> Address:
    """Where a program on this machine reaches what listens there: no browser takes `0.0.0.0`."""
    return Address(ALL_ADDRESSES.get(host, host), port)
