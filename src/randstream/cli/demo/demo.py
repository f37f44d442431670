"""Demo: the course of it. Numbers flow, faults heal, the processes are stopped, and what they stored is proved."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...children.orphans import reaping
from ...clock import Clock
from ...errors import SettingsError
from .cluster import PRODUCERS, RATE, WORKERS, Cluster
from .faults import Faults
from .proof import STOPPED, prove
from .screen import Screen

USUAL_SECONDS: Final = 12.0
"""A shorter demo has shorter pauses."""
NOTHING_SEEN: Final = "Stopped before numbers flowed to every worker: nothing was broken, and nothing is proven."


class Demo:
    """The whole demo. `seconds`: how long it lasts; None: until Ctrl-C. `seed`: that of its numbers."""

    def __init__(self, seconds: float | None, seed: str) -> None:
        self._seconds = seconds
        self._pace = min(1.0, (seconds or USUAL_SECONDS) / USUAL_SECONDS)
        self._seed = seed
        self._stopping = asyncio.Event()
        self._screen = Screen()
        self._starting: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Run and return the exit status: 0: every worker's numbers are exact; 1: they are not; or STOPPED.

        Raises SettingsError: there is no folder for the stores; ExceptionGroup: a process cannot do its part.
        """
        running = asyncio.current_task()
        assert running is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._end, running)
        with reaping(Clock()), _temporary_folder() as store:
            cluster = Cluster(store, self._seed)
            faults = Faults(cluster, self._screen.tell, self._live_on)
            async with cluster.running() as group:
                self._starting = group.create_task(self._start(cluster))
                await asyncio.wait([self._starting])
                is_flowing = not self._starting.cancelled() and self._starting.exception() is None
                if is_flowing:
                    group.create_task(faults.cause())
                    await self._show(cluster, faults)
                self._screen.tell("the processes are stopped")
            if not is_flowing:
                self._screen.say(NOTHING_SEEN)
                return STOPPED
            acked: Counter[str] = Counter()
            for producer in cluster.producers.values():
                acked |= producer.acked
            stood_still = {name: worker.stood_still for name, worker in cluster.workers.items()}
            words, status = prove(store, self._seed, acked, stood_still, faults.count)
            for line in words:
                self._screen.say(line)
            return status

    def _end(self, running: asyncio.Task[int]) -> None:
        """End with the proof; when asked for the second time, at once."""
        if self._stopping.is_set():
            running.cancel()
        self._stopping.set()
        if self._starting is not None:
            self._starting.cancel()

    async def _start(self, cluster: Cluster) -> None:
        """Start all processes, and wait until numbers flow to every worker."""
        await cluster.start_workers()
        self._screen.tell(f"{WORKERS} workers have started")
        await asyncio.gather(*map(cluster.start_producer, cluster.producers))
        self._screen.tell(f"{PRODUCERS} producers have started")
        for worker in cluster.workers.values():
            await worker.wait_said("link.resumed")
        self._screen.tell(f"numbers flow: {RATE} a second to each worker. Live page: {cluster.urls['producer-0']}")

    async def _show(self, cluster: Cluster, faults: Faults) -> None:
        """Show how the streams flow until the time is over, or the demo is asked to end, and all faults have healed."""
        loop = asyncio.get_running_loop()
        deadline = None if self._seconds is None else loop.time() + self._seconds
        with self._screen.redrawing():
            while not self._stopping.is_set():
                left = None if deadline is None else deadline - loop.time()
                if left is not None and left <= 0 and faults.are_over.is_set():
                    break
                await self._screen.update(cluster.urls.values())
                await self._sleep(0.25 if left is None else max(0.05, min(0.25, left)))
            await self._screen.update(cluster.urls.values())  # with the last stories
        self._stopping.set()
        if not faults.are_over.is_set():
            self._screen.tell("ends as soon as every stream flows")
        await faults.are_over.wait()

    async def _live_on(self, seconds: float) -> bool:
        await self._sleep(seconds * self._pace)
        return not self._stopping.is_set()

    async def _sleep(self, seconds: float) -> None:
        """Until asked to stop, at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="randstream-demo-")
    except OSError as error:
        why = f"no folder for temporary files can be written: {error.strerror}"
        raise SettingsError(f"{why}; set TMPDIR to one that can") from None
    with folder as path:
        yield Path(path)
