"""Pods: workers of a StatefulSet on virtual time. Their names leave DNS when they end and return at a new address."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from tests.simulation.virtual import virtual_loop
from tests.support.roles import transport_of
from tests.support.sinks import Memory

from randstream.producer.dns import Dns
from randstream.protocol.frames import Lines
from randstream.settings import Target, WorkerSettings
from randstream.worker.worker import Worker

SRV: Final = "srv://_stream._tcp.worker"
PORT: Final = 9000
HEADLESS: Final = f"dns://worker:{PORT}"
RECORD_SECONDS: Final = 30.0
"""An answer's time to live, as is usual in a cluster."""


class PodNames(Dns):
    """The names and addresses of pods, behind a cache that keeps answers, negative ones too, for `cached` seconds."""

    def __init__(self, cached: float = 0.0) -> None:
        super().__init__()
        self.pods: dict[str, str] = {}
        """The address of each pod, by its name."""
        self.questions = 0
        self._cached = cached
        self._given = 0
        self._cache: dict[str, tuple[float, list[str]]] = {}

    def new_address(self) -> str:
        """Return an address that no pod had before."""
        self._given += 1
        return f"127.0.0.{self._given + 1}"

    async def look_up_workers(self, service: Target, kind: str) -> tuple[tuple[Target, ...], float]:
        found = self._ask(f"{service} {kind}", lambda: self._workers(service, kind))
        await asyncio.sleep(0.001)
        return tuple(Target("stream", host, PORT) for host in found), RECORD_SECONDS if found else 0.0

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        found = self._ask(host, lambda: [self.pods[host]] if host in self.pods else [])
        if found:
            loop.call_later(0.001, answer.set_result, found)
        else:
            missing = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            loop.call_later(0.001, answer.set_exception, missing)
        return answer

    def _workers(self, service: Target, kind: str) -> list[str]:
        return [] if kind == "AAAA" else list(self.pods if service.scheme == "srv" else self.pods.values())

    def _ask(self, question: str, answer: Callable[[], list[str]]) -> list[str]:
        self.questions += 1
        now = asyncio.get_running_loop().time()
        until, found = self._cache.get(question, (-1.0, []))
        if until <= now:
            found = answer()
            self._cache[question] = now + self._cached, found
        return found


class Ear(Memory):
    """Records when numbers arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[float] = []

    def append(self, lines: Lines, count: int) -> None:
        self.heard.append(asyncio.get_running_loop().time())
        super().append(lines, count)


class Pod:
    """A pod of a StatefulSet: its name and sink stay, its address changes with each restart."""

    def __init__(self, name: str, dns: PodNames) -> None:
        self.name = name
        self.host = f"{name}.worker"
        self.sink = Ear()
        self._dns = dns
        self._role: Worker | None = None
        self._life: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen at a new address, and add it to DNS."""
        address = self._dns.new_address()
        loop = virtual_loop()
        given: dict[str, Any] = {"name": self.name, "listen": f"{address}:{PORT}", "grace_period": 5.0}
        self._role = Worker(WorkerSettings(**given), self.sink, clock=loop.clock, random=loop.world.random)
        self._life = loop.create_task(self._role.run())
        await self._role.wait_listening()
        self._dns.pods[self.host] = address

    async def stop(self, *, leaves_dns: bool = True) -> None:
        """Drain and end; then its name leaves DNS."""
        assert self._role is not None
        assert self._life is not None
        self._role.stop()
        await self._life
        if leaves_dns:
            del self._dns.pods[self.host]

    async def die(self) -> None:
        """End without a goodbye; then its name leaves DNS."""
        assert self._role is not None
        assert self._life is not None
        transport_of(self._role).abort()
        self._life.cancel()
        await asyncio.wait([self._life])
        del self._dns.pods[self.host]

    def end(self) -> None:
        """Start to drain, if it runs."""
        if self._role is not None:
            self._role.stop()
