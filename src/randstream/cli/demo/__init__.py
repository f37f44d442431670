"""Demo: a newcomer's first minute. Real processes on loopback; two are killed, a connection is cut; then the proof."""

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
from collections import Counter, deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...children.orphans import reaping
from ...clock import Clock
from ...store import StreamReport, verify
from ..console import PoliteConsole
from .process import Process
from .relay import Relay

WORKERS: Final = 3
PRODUCERS: Final = 2
RATE: Final = 50
PAUSE, DOWNTIME = 2.0, 1.0
"""Seconds before each fault, and until what was killed is restarted; shortened if the whole demo is short."""
USUAL_SECONDS: Final = 12.0
STATE_COLOURS: Final = {"streaming": "green", "stalled": "yellow", "standby": "cyan"}


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
        self._urls: list[str] = []
        self._started_at = 0.0

    async def run(self) -> int:
        """Run and return the exit status: 0 if every worker's numbers are exact, else 1."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        with reaping(Clock()), tempfile.TemporaryDirectory(prefix="randstream-demo-") as folder:
            store = Path(folder)
            async with self._processes(store) as (producers, workers):
                await self._show()
                self._stopping.set()
                await self._healed.wait()
                await asyncio.gather(*(producer.end() for producer in producers.values()))
                for producer in producers.values():
                    await producer.wait_said("service.stopped")
            acked: Counter[str] = Counter()
            for producer in producers.values():
                acked |= producer.acked
            return self.prove(store, acked, {name: worker.stood_still for name, worker in workers.items()})

    @contextlib.asynccontextmanager
    async def _processes(self, store: Path) -> AsyncIterator[tuple[dict[str, Process], dict[str, Process]]]:
        workers = {
            name: Process(["worker", "--name", name, "--listen", "127.0.0.1:0", "--store", str(store)])
            for name in (f"worker-{n}" for n in range(WORKERS))
        }
        producers = {f"producer-{n}": Process([]) for n in range(PRODUCERS)}
        relays: dict[str, Relay] = {}
        try:
            async with asyncio.TaskGroup() as group:
                ports = [await _start(worker, group, "--listen", "worker.listening") for worker in workers.values()]
                for name, producer in producers.items():
                    relays[name] = Relay(ports[1])
                    ways = [ports[0], await relays[name].start(group), *ports[2:]]
                    targets = ",".join(f"127.0.0.1:{port}" for port in ways)
                    flags = f"--name {name} --workers {targets} --seed-file - --rate {RATE} --admin 127.0.0.1:0"
                    producer.arguments = ["producer", *flags.split()]
                await asyncio.gather(*(self._start_producer(producer, group) for producer in producers.values()))
                self._urls = [producer.said["admin.listening"]["url"] for producer in producers.values()]
                for worker in workers.values():
                    await worker.wait_said("link.resumed")
                self._started_at = asyncio.get_running_loop().time()
                story = f"{WORKERS} workers, {PRODUCERS} producers, {RATE} numbers a second to each worker."
                self._tell(f"{story} Live page: {self._urls[0]}")
                group.create_task(self._harm(producers, workers, relays, group))
                yield producers, workers
                for worker in workers.values():
                    await worker.end()
                for relay in relays.values():
                    relay.close()
        finally:
            for process in (*producers.values(), *workers.values()):
                await process.end(signal.SIGKILL)

    async def _start_producer(self, producer: Process, group: asyncio.TaskGroup) -> None:
        await _start(producer, group, "--admin", "admin.listening", seed=self._seed)

    async def _harm(
        self,
        producers: dict[str, Process],
        workers: dict[str, Process],
        relays: dict[str, Relay],
        group: asyncio.TaskGroup,
    ) -> None:
        if await self._live_on(PAUSE):
            name = workers["worker-1"].server
            served = [worker for worker in workers.values() if worker.server == name]
            self._tell(f"{name} is killed (SIGKILL): it served {len(served)} of {WORKERS} workers")
            for worker in served:
                worker.forget("link.resumed")
            await producers[name].end(signal.SIGKILL)
            longest = max([(await worker.wait_said("link.resumed"))["interruption"] for worker in served])
            self._tell(f"{served[0].server} serves them now; the longest silence was {longest:.2f} s")
            await self._live_on(DOWNTIME)
            await self._start_producer(producers[name], group)
            self._tell(f"{name} is back and stands by")
        if await self._live_on(PAUSE):
            victim = workers["worker-2"]
            self._tell("worker-2 is killed (SIGKILL): its stream stops")
            await victim.end(signal.SIGKILL)
            killed_at = asyncio.get_running_loop().time()
            await self._live_on(DOWNTIME)
            await _start(victim, group, "--listen", "worker.listening")
            offset = (await victim.wait_said("link.resumed"))["offset"]
            victim.stood_still += asyncio.get_running_loop().time() - killed_at
            self._tell(f"worker-2 is back and says: resume at offset {offset}. No other process kept anything for it")
        if await self._live_on(PAUSE):
            worker = workers["worker-1"]
            name = worker.server
            self._tell(f"the connection from {name} to worker-1 is cut")
            worker.forget("link.resumed")
            relays[name].cut()
            offset = (await worker.wait_said("link.resumed"))["offset"]
            self._tell(f"worker-1 goes on at offset {offset}, from {worker.server}")
        self._healed.set()

    async def _live_on(self, seconds: float) -> bool:
        """Let the streams flow for `seconds`; return False if asked to stop."""
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
                live.update(await self._table(), refresh=True)  # with the last stories

    async def _table(self) -> Group:
        links = await asyncio.to_thread(fetch_links, self._urls)
        table = Table(title="randstream demo (Ctrl-C ends it, with the proof)", title_justify="left")
        for heading in ("worker", "state", "offset", "numbers/s", "round trip", "served by"):
            is_text = heading in ("worker", "state", "served by")
            table.add_column(heading, justify="left" if is_text else "right", min_width=9)
        for name, link in sorted(links.items()):
            trip = link["round_trip"]
            state = Text(link["state"], STATE_COLOURS.get(link["state"], "red"))
            facts = f"{link['offset']:,}", f"{link['rate']:.0f}", "" if trip is None else f"{trip * 1000:.1f} ms"
            table.add_row(name, state, *facts, link["served_by"] or "")
        return Group(table, *self._stories)

    def _tell(self, story: str) -> None:
        line = f"{asyncio.get_running_loop().time() - self._started_at:5.1f} s  {story}"
        self._stories.append(line)
        if not self._console.is_terminal:
            self._console.print(line, highlight=False, soft_wrap=True)

    def prove(self, store: Path, acked: dict[str, int], stood_still: dict[str, float]) -> int:
        """Check `store` against the seed and `acked`, each worker's acknowledged offset, and return the exit status.

        `stood_still`: for how many seconds each worker's stream did not flow.
        """
        report = verify([store], self._seed)
        found = [describe(stream, acked) for stream in report.streams]
        self._console.print("The proof: every number that arrived, against the same made again from the seed.")
        for line, _ in found:
            self._console.print(line, highlight=False, soft_wrap=True)
        silences = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in stood_still.items())
        self._console.print(f"Stood still: {silences}", highlight=False, soft_wrap=True)
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


async def _start(process: Process, group: asyncio.TaskGroup, flag: str, event: str, *, seed: str = "") -> int:
    """Start it and return the port that `event` names; `flag` gives it that port again after a restart."""
    await process.start(group, seed=seed)
    said = await process.wait_said(event)
    address = said.get("address") or said["url"].split("/")[2]
    process.arguments[process.arguments.index(flag) + 1] = address
    return int(address.rpartition(":")[2])


def fetch_links(urls: list[str]) -> dict[str, dict[str, Any]]:
    """The link to each worker, by the worker's name: that of the producer at one of `urls` that serves it, if any."""
    links: dict[str, dict[str, Any]] = {}
    for url in urls:
        with contextlib.suppress(OSError), urlopen(url + "api/links", timeout=2) as answer:  # noqa: S310 - our own, on loopback
            for link in json.load(answer)["links"]:
                name = link["worker"] or "?"
                if name not in links or link["state"] == "streaming":
                    links[name] = link
    return links


def run_demo(seconds: float | None) -> int:
    """The demo command."""
    return asyncio.run(Demo(seconds, seed=secrets.token_hex(4)).run())
