"""Site: a running admin server, and a client of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from tests.net.certificates import CA
from tests.support.waiting import PATIENCE
from yarl import URL

from randstream.admin.server import AdminServer
from randstream.observe.status import ObservedRole
from randstream.settings import Address


async def wait_cut(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the end of the connection, which may be a reset."""
    heard = b""
    with suppress(ConnectionError):
        while data := await reader.read(2**16):
            heard += data
    return heard


def client_context() -> ssl.SSLContext:
    """For a client that trusts the tests' CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return context


@dataclass(frozen=True)
class Site:
    """A running admin server and a client of it."""

    admin: AdminServer
    port: int
    client: aiohttp.ClientSession

    async def get(self, path: str | URL, **given: Any) -> tuple[int, str]:
        """The status and the text of an answer."""
        async with self.client.get(path, **given) as answer:
            return answer.status, await answer.text()

    def tick(self, now: float) -> None:
        """Do what a running server does once a second."""
        self.admin.observer.tick(now)
        self.admin.events.tick()


@asynccontextmanager
async def site_of(role: ObservedRole, **given: Any) -> AsyncIterator[Site]:
    """The admin server of `role`, with the options `given`. It ticks only when the test calls `tick`. With a
    `certificate`, its client trusts the tests' CA.
    """
    admin = AdminServer(role, Address("127.0.0.1", 0), **given)
    _, port = await admin.start()
    url = f"{'https' if 'certificate' in given else 'http'}://127.0.0.1:{port}"
    connector = aiohttp.TCPConnector(ssl=client_context())
    async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(PATIENCE)) as client:
        try:
            yield Site(admin, port, client)
        finally:
            await admin.close()
