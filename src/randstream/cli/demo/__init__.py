"""Demo: a newcomer's first minute. Real processes on loopback; two are killed, a connection is cut; then the proof."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import signal
import sys
import tempfile
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...children.orphans import reaping
from ...clock import Clock
from ...errors import SettingsError
from ..console import open_console
from .process import Process
from .proof import STOPPED, prove
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
        self._faults = 0
        """How many of the three there were, and have healed."""
        self._stories: deque[str] = deque(maxlen=8)
        self._console = open_console(sys.stdout)
        self._live: Live | None = None
        self._urls: list[str] = []
        self._begin = 0.0
        self._flowing_since: float | None = None
        self._starting: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Run and return the exit status: 0: every worker's numbers are exact; 1: they are not; or STOPPED.

        Raises SettingsError: there is no folder for the stores; ExceptionGroup: a process cannot do its part.
        """
        loop = asyncio.get_running_loop()
        self._begin = loop.time()
        running = asyncio.current_task()
        assert running is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._end, running)
        with reaping(Clock()), _temporary_folder() as store:
            async with self._processes(store) as (producers, workers):
                if self._is_flowing:
                    await self._show()
                    self._stopping.set()
                    if not self._healed.is_set():
                        self._tell("ends as soon as every stream flows")
                    await self._healed.wait()
                self._tell("the processes are stopped")
            if not self._is_flowing:
                self._say("Stopped before numbers flowed to every worker: nothing was broken, and nothing is proven.")
                return STOPPED
            acked: Counter[str] = Counter()
            for producer in producers.values():
                acked |= producer.acked
            stood_still = {name: worker.stood_still for name, worker in workers.items()}
            words, status = prove(store, self._seed, acked, stood_still, self._faults)
            for line in words:
                self._say(line)
            return status

    def _end(self, running: asyncio.Task[int]) -> None:
        """End with the proof; when asked for the second time, at once."""
        if self._stopping.is_set():
            running.cancel()
        self._stopping.set()
        if self._starting is not None:
            self._starting.cancel()

    @contextlib.asynccontextmanager
    async def _processes(self, store: Path) -> AsyncIterator[tuple[dict[str, Process], dict[str, Process]]]:
        workers = {
            name: Process(name, ["worker", "--name", name, "--listen", "127.0.0.1:0", "--store", str(store)])
            for name in (f"worker-{n}" for n in range(WORKERS))
        }
        producers = {name: Process(name, []) for name in (f"producer-{n}" for n in range(PRODUCERS))}
        relays: dict[str, Relay] = {}
        try:
            async with asyncio.TaskGroup() as group:
                self._starting = group.create_task(self._start(producers, workers, relays, group))
                await asyncio.wait([self._starting])
                if self._is_flowing:
                    group.create_task(self._harm(producers, workers, relays, group))
                try:
                    yield producers, workers
                    await asyncio.gather(*(producer.end() for producer in producers.values()))
                    for worker in workers.values():
                        await worker.end()
                finally:  # before the group ends: it could take no more connections
                    for relay in relays.values():
                        relay.close()
        finally:
            for process in (*producers.values(), *workers.values()):
                await process.end(signal.SIGKILL)

    async def _start(
        self,
        producers: dict[str, Process],
        workers: dict[str, Process],
        relays: dict[str, Relay],
        group: asyncio.TaskGroup,
    ) -> None:
        """Start them all, and wait until numbers flow to every worker."""
        ports = await asyncio.gather(
            *(_start(worker, group, "--listen", "worker.listening") for worker in workers.values())
        )
        self._tell(f"{WORKERS} workers have started")
        for name, producer in producers.items():
            relays[name] = Relay(ports[1])
            ways = [ports[0], await relays[name].start(group), *ports[2:]]
            targets = ",".join(f"127.0.0.1:{port}" for port in ways)
            flags = f"--name {name} --workers {targets} --seed-file - --rate {RATE} --admin 127.0.0.1:0"
            producer.arguments = ["producer", *flags.split()]
        await asyncio.gather(*(self._start_producer(producer, group) for producer in producers.values()))
        self._tell(f"{PRODUCERS} producers have started")
        self._urls = [producer.said["admin.listening"]["url"] for producer in producers.values()]
        for worker in workers.values():
            await worker.wait_said("link.resumed")
        self._flowing_since = asyncio.get_running_loop().time()
        self._tell(f"numbers flow: {RATE} a second to each worker. Live page: {self._urls[0]}")

    @property
    def _is_flowing(self) -> bool:
        """Whether numbers have flowed to every worker."""
        return self._flowing_since is not None

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
            self._faults += 1
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
            self._faults += 1
            self._tell(f"worker-2 is back and says: resume at offset {offset}. No other process kept anything for it")
        if await self._live_on(PAUSE):
            worker = workers["worker-1"]
            name = worker.server
            self._tell(f"the connection from {name} to worker-1 is cut")
            worker.forget("link.resumed")
            relays[name].cut()
            offset = (await worker.wait_said("link.resumed"))["offset"]
            self._faults += 1
            self._tell(f"worker-1 goes on at offset {offset}, from {worker.server}")
        self._healed.set()

    async def _live_on(self, seconds: float) -> bool:
        """Let the streams flow for `seconds`; return False if asked to stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds * self._pace)
        return not self._stopping.is_set()

    async def _show(self) -> None:
        assert self._flowing_since is not None
        deadline = None if self._seconds is None else self._flowing_since + self._seconds
        if self._console.can_redraw:
            self._live = Live(console=self._console, refresh_per_second=8, transient=False, auto_refresh=False)
        with self._live or contextlib.nullcontext():
            while not self._stopping.is_set():
                left = None if deadline is None else deadline - asyncio.get_running_loop().time()
                if left is not None and left <= 0 and self._healed.is_set():
                    break
                await self._update()
                pause = 0.25 if left is None else max(0.05, min(0.25, left))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
            await self._update()  # with the last stories
        self._live = None

    async def _update(self) -> None:
        if self._live is not None:
            self._live.update(await self._table(), refresh=True)

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
        return Group(table, *map(Text, self._stories))

    def _tell(self, story: str) -> None:
        line = f"{asyncio.get_running_loop().time() - self._begin:5.1f} s  {story}"
        if self._live is None:
            self._say(line)
        else:
            self._stories.append(line)

    def _say(self, line: str | Text) -> None:
        self._console.print(Text(line) if isinstance(line, str) else line, soft_wrap=True)


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
    """The demo command. Raises SettingsError and OSError: it cannot go on."""
    try:
        return asyncio.run(Demo(seconds, seed=secrets.token_hex(4)).run())
    except asyncio.CancelledError:
        return STOPPED
    except ExceptionGroup as group:
        raise _first(group) from None


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="randstream-demo-")
    except OSError as error:
        why = f"no folder for temporary files can be written: {error.strerror}"
        raise SettingsError(f"{why}; set TMPDIR to one that can") from None
    with folder as path:
        yield Path(path)
