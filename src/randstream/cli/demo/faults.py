"""Faults: a producer and a worker are killed, a connection is cut; each heals before the next one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from .cluster import RELAYED, WORKERS, Cluster

PAUSE, DOWNTIME = 2.0, 1.0
"""Seconds before each fault, and until what was killed is restarted."""
VICTIM: Final = "worker-2"


class Faults:
    """What happens to `cluster`, and is told with `tell`.

    `live_on` lets the streams flow for that many seconds, and says whether there is to be another fault.
    """

    def __init__(
        self, cluster: Cluster, tell: Callable[[str], None], live_on: Callable[[float], Awaitable[bool]]
    ) -> None:
        self._cluster, self._tell, self._live_on = cluster, tell, live_on
        self.count = 0
        """How many there were, and have healed."""
        self.are_over = asyncio.Event()

    async def cause(self) -> None:
        """Cause all of them, unless `live_on` ends that."""
        for fault in (self._kill_a_producer, self._kill_a_worker, self._cut_a_connection):
            if not await self._live_on(PAUSE):
                break
            await fault()
            self.count += 1
        self.are_over.set()

    async def _kill_a_producer(self) -> None:
        workers = self._cluster.workers.values()
        name = self._cluster.workers[RELAYED].server
        served = [worker for worker in workers if worker.server == name]
        self._tell(f"{name} is killed (SIGKILL): it served {len(served)} of {WORKERS} workers")
        for worker in served:
            worker.forget("link.resumed")
        await self._cluster.producers[name].end(signal.SIGKILL)
        longest = max([(await worker.wait_said("link.resumed"))["interruption"] for worker in served])
        self._tell(f"{served[0].server} serves them now; the longest silence was {longest:.2f} s")
        await self._live_on(DOWNTIME)
        await self._cluster.start_producer(name)
        self._tell(f"{name} is back and stands by")

    async def _kill_a_worker(self) -> None:
        loop, victim = asyncio.get_running_loop(), self._cluster.workers[VICTIM]
        self._tell(f"{VICTIM} is killed (SIGKILL): its stream stops")
        await victim.end(signal.SIGKILL)
        killed_at = loop.time()
        await self._live_on(DOWNTIME)
        await self._cluster.start_worker(VICTIM)
        offset = (await victim.wait_said("link.resumed"))["offset"]
        victim.stood_still += loop.time() - killed_at
        self._tell(f"{VICTIM} is back and says: resume at offset {offset}. No other process kept anything for it")

    async def _cut_a_connection(self) -> None:
        worker = self._cluster.workers[RELAYED]
        name = worker.server
        self._tell(f"the connection from {name} to {RELAYED} is cut")
        worker.forget("link.resumed")
        self._cluster.cut(name)
        offset = (await worker.wait_said("link.resumed"))["offset"]
        self._tell(f"{RELAYED} goes on at offset {offset}, from {worker.server}")
