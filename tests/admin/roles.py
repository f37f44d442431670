"""Roles that do nothing, for an observer to look at, and an admin server beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from randstream.admin.server import AdminServer
from randstream.clock import Clock
from randstream.observe.journal import Journal
from randstream.observe.status import LinkState, LinkStatus
from randstream.observe.tally import Tally
from randstream.observe.tap import Tap
from randstream.settings import Address


@dataclass(eq=False)
class FakeLink:
    worker: str | None = "worker-0"
    peer: str = "10.0.0.1:9000"
    state: LinkState = LinkState.STREAMING
    offset: int = 0
    acked_offset: int = 0
    passed: list[float] = field(default_factory=list)

    @property
    def label(self) -> tuple[str, str]:
        return self.worker or "", self.peer

    def status(self, now: float, rate: float) -> LinkStatus:
        return LinkStatus(
            self.worker,
            self.peer,
            "6ae2a63a0ac05109",
            self.state,
            self.offset,
            self.acked_offset,
            rate,
            0.001,
            0.5,
            0,
            None,
        )

    def recent_numbers(self, since: int, count: int) -> list[float]:
        return self.passed[-count:]


@dataclass
class FakeRole:
    role: str = "producer"
    name: str = "producer-0"
    numbers: str | None = "integers:1:100"
    problem: str | None = None
    links: list[FakeLink] = field(default_factory=lambda: [FakeLink()])
    tally: Tally = field(default_factory=Tally)
    journal: Journal = field(default_factory=lambda: Journal(Clock()))
    warning: str | None = None
    clock: Clock = field(default_factory=Clock)
    tap: Tap | None = None

    def advance(self, count: int) -> None:
        """Every link sends `count` numbers."""
        for link in self.links:
            link.offset += count
            self.tally.numbers += count


async def wait_cut(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server ends the connection, politely or not."""
    heard = b""
    with suppress(ConnectionError):
        while data := await reader.read(2**16):
            heard += data
    return heard


async def wait_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so. The test's own time limit ends it."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Site:
    """A running admin server and a client of it."""

    admin: AdminServer
    port: int
    client: aiohttp.ClientSession

    async def get(self, path: str, **given: Any) -> tuple[int, str]:
        async with self.client.get(path, **given) as answer:
            return answer.status, await answer.text()

    def tick(self, now: float) -> None:
        """What the server does by itself once a second."""
        self.admin.observer.tick(now)
        self.admin.events.tick()


@asynccontextmanager
async def site_of(role: Any) -> AsyncIterator[Site]:
    """The admin server of `role`, which only ticks when the test says so."""
    admin = AdminServer(role, Address("127.0.0.1", 0))
    _, port = await admin.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", timeout=aiohttp.ClientTimeout(10)) as client:
        try:
            yield Site(admin, port, client)
        finally:
            await admin.close()
