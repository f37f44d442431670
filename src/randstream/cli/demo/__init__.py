"""Demo: a newcomer's first minute. Real processes on loopback; one is killed, one connection is cut; then the proof."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...store import StreamReport, verify
from .process import Process
from .relay import Relay

WORKERS: Final = 3
RATE: Final = 50
KILL_AFTER, RESTART_AFTER, CUT_AFTER = 4.0, 5.5, 8.0
"""Seconds from the first number, shortened if the whole demo is short."""
USUAL_SECONDS: Final = 12.0
STATE_COLOURS: Final = {"streaming": "green", "stalled": "yellow"}


class PoliteConsole(Console):
    """A console whose reader may leave, as `| head` does: the demo goes on without output, and cleans up."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class Demo:
    """The whole demo. `seconds`: how long it lasts; None: until Ctrl-C. `seed`: that of its numbers."""

    def __init__(self, seconds: float | None, seed: str) -> None:
        self._seconds = seconds
        self._pace = min(1.0, (seconds or USUAL_SECONDS) / USUAL_SECONDS)
        self._seed = seed
        self._stopping = asyncio.Event()
        self._healed = asyncio.Event()
        self._stories: deque[str] = deque(maxlen=8)
        self._console = PoliteConsole()
        self._url = ""
        self._started_at = 0.0

    async def run(self) -> int:
        """Run; the exit status: 0 if every worker's numbers are exact, else 1."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        with tempfile.TemporaryDirectory(prefix="randstream-demo-") as folder:
            store = Path(folder)
            async with self._processes(store) as producer:
                await self._show()
                self._stopping.set()
                await self._healed.wait()
                await producer.end()
                await producer.wait_said("service.stopped")
            return self.prove(store, producer.acked)

    @contextlib.asynccontextmanager
    async def _processes(self, store: Path) -> AsyncIterator[Process]:
        workers = [
            Process(["worker", "--name", f"worker-{n}", "--listen", "127.0.0.1:0", "--store", str(store)])
            for n in range(WORKERS)
        ]
        producer = Process([])
        try:
            async with asyncio.TaskGroup() as group:
                ports = [await self._start_worker(worker, group) for worker in workers]
                relay = Relay(ports[1])
                ports[1] = await relay.start(group)
                targets = ",".join(f"127.0.0.1:{port}" for port in ports)
                flags = f"--workers {targets} --seed-file - --rate {RATE} --admin 127.0.0.1:0"
                producer.arguments = ["producer", *flags.split()]
                await producer.start(group, seed=self._seed)
                self._url = (await producer.wait_said("admin.listening"))["url"]
                for worker in workers:
                    await worker.wait_said("link.resumed")
                self._started_at = asyncio.get_running_loop().time()
                self._tell(f"3 workers, 1 producer, {RATE} numbers a second to each. Live page: {self._url}")
                group.create_task(self._harm(workers[2], producer, relay, group))
                yield producer
                for worker in workers:
                    await worker.end()
                relay.close()
        finally:
            for process in (producer, *workers):
                await process.end(signal.SIGKILL)

    async def _start_worker(self, worker: Process, group: asyncio.TaskGroup) -> int:
        await worker.start(group)
        address: str = (await worker.wait_said("worker.listening"))["address"]
        worker.arguments[worker.arguments.index("--listen") + 1] = address  # the same again after a restart
        return int(address.rpartition(":")[2])

    async def _harm(self, victim: Process, producer: Process, relay: Relay, group: asyncio.TaskGroup) -> None:
        if await self._live_on(KILL_AFTER):
            self._tell("worker-2 is killed (SIGKILL): its stream stops")
            await victim.end(signal.SIGKILL)
            await self._live_on(RESTART_AFTER - KILL_AFTER)
            await self._start_worker(victim, group)
            offset = (await victim.wait_said("link.resumed"))["offset"]
            self._tell(f"worker-2 is back and said: resume at offset {offset}. Nothing was kept for it anywhere else")
        if await self._live_on(CUT_AFTER - RESTART_AFTER):
            self._tell("the connection of worker-1 is cut: the producer dials again")
            producer.said.pop("link.resumed", None)
            relay.cut()
            offset = (await producer.wait_said("link.resumed"))["offset"]
            self._tell(f"worker-1 goes on at offset {offset}")
        self._healed.set()

    async def _live_on(self, seconds: float) -> bool:
        """Let the streams flow for `seconds`; returns False if somebody asked to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds * self._pace)
        return not self._stopping.is_set()

    async def _show(self) -> None:
        deadline = None if self._seconds is None else self._started_at + self._seconds
        live = Live(console=self._console, refresh_per_second=8, transient=False, auto_refresh=False)
        with live if self._console.is_terminal else contextlib.nullcontext():
            while not self._stopping.is_set():
                left = None if deadline is None else deadline - asyncio.get_running_loop().time()
                if left is not None and left <= 0 and self._healed.is_set():
                    break
                if self._console.is_terminal:
                    live.update(await self._table(), refresh=True)
                pause = 0.25 if left is None else max(0.05, min(0.25, left))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
            if self._console.is_terminal:
                live.update(await self._table(), refresh=True)  # with what was told last

    async def _table(self) -> Group:
        snapshot = await asyncio.to_thread(_fetch, self._url + "api/links")
        table = Table(title="randstream demo (Ctrl-C ends it, with the proof)", title_justify="left")
        for heading in ("worker", "state", "offset", "numbers/s", "round trip", "reconnects"):
            table.add_column(heading, justify="left" if heading in ("worker", "state") else "right", min_width=9)
        for link in sorted(snapshot["links"], key=lambda link: link["worker"] or ""):
            trip = link["round_trip"]
            state = Text(link["state"], STATE_COLOURS.get(link["state"], "red"))
            facts = f"{link['offset']:,}", f"{link['rate']:.0f}", "" if trip is None else f"{trip * 1000:.1f} ms"
            table.add_row(link["worker"] or "?", state, *facts, str(link["reconnects"]))
        return Group(table, *self._stories)

    def _tell(self, story: str) -> None:
        line = f"{asyncio.get_running_loop().time() - self._started_at:5.1f} s  {story}"
        self._stories.append(line)
        if not self._console.is_terminal:
            self._console.print(line, highlight=False, soft_wrap=True)

    def prove(self, store: Path, acked: dict[str, int]) -> int:
        """Check `store` against the seed and `acked`, the acknowledged offset of each worker; the exit status."""
        report = verify([store], self._seed)
        found = [describe(stream, acked) for stream in report.streams]
        self._console.print("The proof: every number that arrived, against the same made again from the seed.")
        for line, _ in found:
            self._console.print(line, highlight=False, soft_wrap=True)
        is_exact = len(found) == WORKERS and all(exact for _, exact in found)
        verdict = "Every number is where it belongs." if is_exact else "NOT EXACT: please report this as a bug."
        self._console.print(verdict, style="green" if is_exact else "red", soft_wrap=True)
        command = "randstream" if shutil.which("randstream") else f"{os.path.relpath(sys.executable)} -m randstream"
        again = f"{command} numbers --seed {self._seed} --worker worker-0 --offset 0 --count 5"
        self._console.print(f"Make any of them again:  {again}", highlight=False, soft_wrap=True)
        return 0 if is_exact else 1


def describe(stream: StreamReport, acked: dict[str, int]) -> tuple[str, bool]:
    """The proof for one worker in one line, and whether its numbers are exact."""
    name = stream.opened.worker if stream.opened else stream.folder.name
    if stream.damage is not None:
        return f"{name}: NOT EXACT: {stream.damage}", False
    missing = max(0, acked.get(name, 0) - stream.end_offset) + stream.first_offset
    numbers = f"{stream.count:,} numbers, offsets {stream.first_offset} to {stream.end_offset - 1}"
    return f"{name}: {numbers}: 0 wrong, {missing} missing, 0 repeated", not missing


def _fetch(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own producer, on loopback
        snapshot: dict[str, Any] = json.load(answer)
        return snapshot


def run_demo(seconds: float | None) -> int:
    """The demo command."""
    return asyncio.run(Demo(seconds, seed=secrets.token_hex(4)).run())
