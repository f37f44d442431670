"""Process: a real randstream process that can be frozen and killed, with its JSON log. A `Stage` ends them all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.chaos.ledger import Ledger

ROOT: Final = Path(__file__).parents[2]
HEARTBEAT: Final = 0.2
"""Seconds: short, so that a run has many of them, and long compared to the delays of two busy cores."""
PATIENCE: Final = 300
"""Heartbeats that anything may take: far more than the longest usual delay (5 s, the longest backoff)."""
SEED: Final = "chaos"

Event = dict[str, Any]


class Metronome:
    """Counts heartbeats that this process actually ran: while the machine stands still, no time passes."""

    def __init__(self) -> None:
        self.beats = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            self.beats += 1

    async def wait_until(self, condition: Callable[[], bool], patience: int = PATIENCE) -> int | None:
        """How many heartbeats it took until `condition` held; None: `patience` heartbeats were not enough."""
        first = self.beats
        while not condition():
            if self.beats - first >= patience:
                return None
            await asyncio.sleep(HEARTBEAT / 8)
        return self.beats - first


class Process:
    """Randstream processes with the same arguments, one after the other. `events`: all that they have logged."""

    def __init__(self, stage: Stage, name: str, command: Sequence[str], on_event: Callable[[Event], None]) -> None:
        self.name = name
        self.events: list[Event] = []
        self._stage = stage
        self._command = command
        self._on_event = on_event
        self._child: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    async def start(self, until: str) -> None:
        """Start a process, and wait until it has logged the event `until`."""
        first = len(self.events)
        self._child = await asyncio.create_subprocess_exec(
            *self._command, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._stage.ledger.note("start", process=self.name, pid=self._child.pid)
        self._hearing = self._stage.group.create_task(self._hear(self._child))
        child = self._child
        await self._stage.metronome.wait_until(lambda: self.has_said(until, first) or child.returncode is not None)
        if not self.has_said(until, first):
            self._stage.ledger.find(f"{self.name} did not say {until} (status {child.returncode})")

    def has_said(self, event: str, since: int = 0, **fields: object) -> bool:
        """Whether such an event was logged, apart from the first `since` events."""
        return self.said(event, since, **fields) is not None

    def said(self, event: str, since: int = 0, **fields: object) -> Event | None:
        """The first such event, if any."""
        for each in self.events[since:]:
            if each.get("event") == event and fields.items() <= each.items():
                return each
        return None

    async def wait_said(self, event: str, since: int = 0, **fields: object) -> Event:
        """Wait for such an event, and return it."""
        await self._stage.metronome.wait_until(lambda: self.has_said(event, since, **fields))
        said = self.said(event, since, **fields)
        assert said is not None, f"{self.name} never said {event} {fields}; the journal: {self._stage.ledger.path}"
        return said

    def send_signal(self, number: signal.Signals) -> None:
        assert self._child is not None
        if self._child.returncode is None:
            self._child.send_signal(number)

    async def end(self, number: signal.Signals) -> int | None:
        """Send the signal and wait for the end; the exit status."""
        assert self._child is not None
        assert self._hearing is not None
        self.send_signal(number)
        child = self._child
        if await self._stage.metronome.wait_until(lambda: child.returncode is not None) is None:
            self._stage.ledger.find(f"{self.name} does not end on {number.name}")
            child.kill()
        await child.wait()
        await self._hearing
        expected = 0 if number is signal.SIGTERM else -number
        if child.returncode != expected:
            self._stage.ledger.find(f"{self.name} ended with status {child.returncode} on {number.name}")
        return child.returncode

    def kill_if_alive(self) -> None:
        if self.is_running:
            assert self._child is not None
            self._child.kill()

    async def wait_gone(self) -> None:
        if self._child is not None:
            await self._child.wait()

    async def _hear(self, child: asyncio.subprocess.Process) -> None:
        assert child.stderr is not None
        async for line in child.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "not JSON", "level": "error", "line": line.decode(errors="replace").strip()}
            self.events.append(event)
            known = ("event", "level", "timestamp")
            details = {name: value for name, value in event.items() if name not in known}
            self._stage.ledger.note(f"    {self.name}: {event['event']}", **details)
            self._on_event(event)


class Stage:
    """Owns processes: whatever happens, all that it made are gone when its block ends."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.metronome = Metronome()
        self.group = asyncio.TaskGroup()
        self._processes: list[Process] = []

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Stage]:
        async with self.group:
            ticking = self.group.create_task(self.metronome.run())
            try:
                yield self
            finally:
                for process in self._processes:
                    process.kill_if_alive()
                for process in self._processes:
                    await process.wait_gone()
                ticking.cancel()

    def process(
        self,
        name: str,
        *arguments: str,
        mutant: str | None = None,
        prefix: Sequence[str] = (),
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> Process:
        """A process of `randstream ARGUMENTS`, not started yet. `mutant`: run this one of `mutants.py` instead."""
        module = ["randstream"] if mutant is None else ["tests.chaos.mutants", mutant]
        command = [*_dying_with_us(), *prefix, sys.executable, "-m", *module, *arguments]
        process = Process(self, name, command, on_event)
        self._processes.append(process)
        return process


def _dying_with_us() -> list[str]:
    """Has the kernel end the process if ours is killed and runs no `finally`."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
