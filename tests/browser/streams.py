"""Streams: three workers and a producer as real processes; and pages of roles that do nothing."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Process

from randstream.admin.server import AdminServer, serve_admin
from randstream.observe.status import ObservedRole
from randstream.settings import Address


class Streams:
    """worker-0 to worker-2, with stores, and a producer whose page is at `url`."""

    def __init__(self, folder: Path, rate: str = "40", numbers: str = "normal:0:1") -> None:
        self._folder = folder
        self._addresses = ["127.0.0.1:0"] * 3
        self.workers = [self._start_worker(number) for number in range(3)]
        self.producer = Process(
            "producer", "--workers", ",".join(self._addresses), "--seed", "42", "--name", "producer-0", "--rate", rate,
            "--numbers", numbers, "--heartbeat", "0.5", "--admin", "127.0.0.1:0",
        )  # fmt: skip
        self.url: str = self.producer.wait_event("admin.listening")["url"]

    def kill(self, number: int) -> None:
        """SIGKILL a worker."""
        self.workers[number].end(signal.SIGKILL)

    def restart(self, number: int) -> None:
        """Start a killed worker again, at its address."""
        self.workers[number] = self._start_worker(number)

    def end(self) -> None:
        for process in (self.producer, *self.workers):
            process.end()

    def _start_worker(self, number: int) -> Process:
        worker = Process(
            "worker", "--name", f"worker-{number}", "--listen", self._addresses[number], "--store", str(self._folder)
        )
        self._addresses[number] = worker.wait_event("worker.listening")["address"]
        return worker


@contextmanager
def served(role: ObservedRole, port: int = 0, prepare: Callable[[AdminServer], None] = lambda _: None) -> Iterator[str]:
    """Run an admin server of `role` on a loop in a thread of its own, after `prepare` has had it; gives its URL."""
    started: list[str] = []
    ready, done = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        admin = AdminServer(role, Address("127.0.0.1", port))
        prepare(admin)
        async with serve_admin(admin) as (host, bound):
            started.append(f"http://{host}:{bound}/")
            ready.set()
            await done.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert ready.wait(10)
    try:
        yield started[0]
    finally:
        loops[0].call_soon_threadsafe(done.set)
        thread.join(10)
