"""Duo: one producer, one worker that stores, and a proxy between them: for scenarios with a single fault."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.chaos.census import take_census
from tests.chaos.ledger import Ledger
from tests.chaos.process import HEARTBEAT, SEED, Event, Process, Stage
from tests.chaos.proxy import FaultProxy
from tests.support.ports import free_port

WORKER: Final = "worker-0"
NUMBERS: Final = "integers:1:100"
TIMEOUT_HEARTBEATS: Final = 3.5
"""The promise: a peer that is gone without a word is noticed within so many heartbeats of its last byte."""


@dataclass(frozen=True, slots=True)
class Duo:
    """Both are started by `running_duo`."""

    stage: Stage
    worker: Process
    producer: Process
    proxy: FaultProxy
    store: Path

    @property
    def ledger(self) -> Ledger:
        return self.stage.ledger

    async def wait_moving(self, numbers: int = 1) -> None:
        """Wait until the worker has acknowledged so many more numbers."""
        wanted = self.ledger.acked[WORKER] + numbers
        moved = await self.stage.metronome.wait_until(lambda: self.ledger.acked[WORKER] >= wanted)
        assert moved is not None, f"no number is acknowledged; the journal: {self.ledger.path}"

    async def readiness(self) -> int:
        """The status of the worker's /readyz."""
        listening = [event for event in self.worker.events if event["event"] == "admin.listening"]
        return await asyncio.to_thread(_status, listening[-1]["url"] + "readyz")

    def prove(self) -> None:
        """After the end: the store is exactly the stream, and holds all that was promised."""
        census = take_census(self.store, WORKER, NUMBERS, SEED)
        promised, source = self.ledger.promised(WORKER)
        assert census.problem is None
        assert census.end >= promised, source
        assert not self.ledger.findings


@contextlib.asynccontextmanager
async def running_duo(ledger: Ledger, store: Path, *, heartbeat: float = HEARTBEAT) -> AsyncIterator[Duo]:
    """A duo whose stream moves. After the block both end gracefully, and leave nothing."""
    port = free_port()
    async with Stage(ledger).open() as stage, FaultProxy(WORKER, port, ledger, heartbeat=heartbeat).running() as proxy:
        worker = stage.process(
            WORKER, "worker", "--name", WORKER, "--listen", f"127.0.0.1:{port}", "--store", str(store),
            "--segment-bytes", "16384", "--admin", "127.0.0.1:0", "--grace", "2",
        )  # fmt: skip
        producer = stage.process(
            "producer-0", "producer", "--name", "producer-0", "--workers", f"127.0.0.1:{proxy.port}", "--seed", SEED,
            "--rate", "2000", "--numbers", NUMBERS, "--heartbeat", str(heartbeat), "--grace", "2",
            on_event=lambda event: _claim(ledger, event),
        )  # fmt: skip
        duo = Duo(stage, worker, producer, proxy, store)
        await worker.start("worker.listening")
        await producer.start("producer.started")
        await duo.wait_moving()
        yield duo
        for process in (producer, worker):
            await process.end(signal.SIGTERM)


def _claim(ledger: Ledger, event: Event) -> None:
    if event["event"] in ("link.resumed", "link.lost", "link.closed"):
        ledger.claim(WORKER, event, "the producer")


def _status(url: str) -> int:
    try:
        with urlopen(url, timeout=10) as answer:
            status: int = answer.status
            return status
    except HTTPError as error:
        with error:
            return error.code
