"""Streams: three workers and a producer as real processes; and pages of roles that do nothing."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from tests.support.processes import Process

from randstream.admin.server import AdminServer, serve_admin
from randstream.observe.status import ObservedRole
from randstream.settings import Address


class Streams:
    """worker-0 to worker-2, with stores, and a producer whose page is at `url`.

    `sinks`: the options of a worker that shall not keep its numbers in `folder`. `more`: options of all of them.
    """

    def __init__(
        self,
        folder: Path,
        rate: str = "40",
        numbers: str = "normal:0:1",
        *,
        sinks: Mapping[int, Sequence[str]] = MappingProxyType({}),
        more: Sequence[str] = (),
        producer_more: Sequence[str] = (),
    ) -> None:
        self._folder, self._sinks, self._more = folder, sinks, more
        self.addresses = ["127.0.0.1:0"] * 3
        self.workers = [self._start_worker(number) for number in range(3)]
        self.producer = self.start_producer(
            "--name", "producer-0", "--rate", rate, "--numbers", numbers, *producer_more
        )
        self.url = url_of(self.producer)

    def start_producer(self, *options: str, seed: str = "42") -> Process:
        """Another one for the same workers."""
        return Process(
            "producer", "--workers", ",".join(self.addresses), "--seed", seed, "--heartbeat", "0.5",
            "--admin", "127.0.0.1:0", *options,
        )  # fmt: skip

    def kill(self, number: int) -> None:
        """SIGKILL a worker."""
        self.workers[number].end(signal.SIGKILL)

    def restart(self, number: int) -> None:
        """Start a killed worker again, at its address."""
        self.workers[number] = self._start_worker(number)

    def end(self) -> None:
        for process in (self.producer, *self.workers):
            if process.popen.poll() is None:
                process.end()

    def _start_worker(self, number: int) -> Process:
        worker = Process(
            "worker", "--name", f"worker-{number}", "--listen", self.addresses[number], *self._more,
            *self._sinks.get(number, ("--store", str(self._folder))),
        )  # fmt: skip
        self.addresses[number] = worker.wait_event("worker.listening")["address"]
        return worker


def url_of(process: Process) -> str:
    """Where its page is."""
    url: str = process.wait_event("admin.listening")["url"]
    return url


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
