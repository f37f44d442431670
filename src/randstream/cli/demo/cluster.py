"""Cluster: the processes of the demo. Three workers with a store, two producers, and a relay from each to worker-1."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from .process import Process
from .relay import Relay

WORKERS: Final = 3
PRODUCERS: Final = 2
RATE: Final = 50
RELAYED: Final = "worker-1"
"""The worker whose connections can be cut."""


class Cluster:
    """Processes by name, not yet started. `seed`: that of their numbers. `store`: the folder of all workers."""

    def __init__(self, store: Path, seed: str) -> None:
        self.workers = {
            name: Process(name, ["worker", "--name", name, "--listen", "127.0.0.1:0", "--store", str(store)])
            for name in (f"worker-{n}" for n in range(WORKERS))
        }
        self.producers = {name: Process(name, []) for name in (f"producer-{n}" for n in range(PRODUCERS))}
        self.urls: dict[str, str] = {}
        """Those of the producers' pages, once they have been started."""
        self._relays: dict[str, Relay] = {}
        self._seed = seed
        self._group = asyncio.TaskGroup()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Stop what has been started, producers first, at the end; kill it after an error. Yields a group within."""
        try:
            async with self._group:
                try:
                    yield self._group
                    await asyncio.gather(*(producer.end() for producer in self.producers.values()))
                    for worker in self.workers.values():
                        await worker.end()
                finally:  # before the group ends: it could take no more connections
                    for relay in self._relays.values():
                        relay.close()
        finally:
            for process in (*self.producers.values(), *self.workers.values()):
                await process.end(signal.SIGKILL)

    async def start_workers(self) -> None:
        """Start them all, and make the ways to them."""
        ports = dict(zip(self.workers, await asyncio.gather(*map(self.start_worker, self.workers)), strict=True))
        for name, producer in self.producers.items():
            relay = self._relays[name] = Relay(ports[RELAYED])
            ways = ports | {RELAYED: await relay.start(self._group)}
            targets = ",".join(f"127.0.0.1:{port}" for port in ways.values())
            flags = f"--name {name} --workers {targets} --seed-file - --rate {RATE} --admin 127.0.0.1:0"
            producer.arguments = ["producer", *flags.split()]

    async def start_worker(self, name: str) -> int:
        """Start it, for the first time or again; its port, which stays the same."""
        return await self._start(self.workers[name], "--listen", "worker.listening")

    async def start_producer(self, name: str) -> None:
        """Start it, for the first time or again."""
        await self._start(self.producers[name], "--admin", "admin.listening", seed=self._seed)
        self.urls[name] = self.producers[name].said["admin.listening"]["url"]

    def cut(self, producer: str) -> None:
        """Cut the producer's connection to RELAYED, without a word to either end."""
        self._relays[producer].cut()

    async def _start(self, process: Process, flag: str, event: str, *, seed: str = "") -> int:
        """Start it and return the port that `event` names; `flag` gives it that port again after a restart."""
        await process.start(self._group, seed=seed)
        said = await process.wait_said(event)
        address = said.get("address") or said["url"].split("/")[2]
        process.arguments[process.arguments.index(flag) + 1] = address
        return int(address.rpartition(":")[2])
