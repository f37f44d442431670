"""Services: DNS whose answers a test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from randstream.producer.dns import Dns, LookUpError
from randstream.settings import Target
from randstream.worker.worker import Worker

SERVICE: Final = "srv://_stream._tcp.worker.ns.svc.test"


class Services(Dns):
    """Stands in for name servers: the workers of each service, the addresses of each name, or `trouble`."""

    def __init__(self) -> None:
        super().__init__()
        self.workers: dict[str, list[Target]] = {}
        self.addresses = {"localhost": ["127.0.0.1"]}
        self.trouble = ""
        self.questions = 0

    async def look_up_workers(self, service: Target, kind: str) -> tuple[tuple[Target, ...], float]:
        self.questions += 1
        if self.trouble:
            raise LookUpError(self.trouble)
        return () if kind == "AAAA" else tuple(self.workers.get(str(service), ())), 0.0

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        answer: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        answer.set_result(self.addresses[host])
        return answer


def targets_of(workers: Sequence[Worker]) -> list[Target]:
    """Where they listen."""
    return [Target("stream", "localhost", worker.address[1]) for worker in workers if worker.address]
