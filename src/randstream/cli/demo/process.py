"""Process: a randstream process of the demo, driven by what it logs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ...children.spawn import send_signal, spawn


@dataclass(slots=True)
class Process:
    """A randstream process, and what it logs."""

    name: str
    arguments: list[str]
    child: asyncio.subprocess.Process | None = None
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Its latest log event of each name."""
    acked: Counter[str] = field(default_factory=Counter)
    """Of a producer that has ended: the offset that each worker had acknowledged."""
    stood_still: float = 0.0
    """Of a worker: for how many seconds its stream did not flow, not counting the time without a process."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    has_ended: bool = False
    last_words: str = ""

    async def start(self, group: asyncio.TaskGroup, *, seed: str = "") -> None:
        """Start it in its own session, so Ctrl-C reaches only the demo, which ends all processes in order."""
        self.said.clear()
        self.has_ended = False
        self.child = await spawn(
            [sys.executable, "-P", "-m", "randstream", *self.arguments],
            stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        group.create_task(self._listen(self.child))
        assert self.child.stdin is not None
        self.child.stdin.write(seed.encode())
        self.child.stdin.close()

    @property
    def server(self) -> str:
        """Of a worker: the producer that serves it, or did last."""
        name: str = self.said["link.resumed"]["producer"]
        return name

    def forget(self, event: str) -> None:
        """Make `wait_said` wait for the next one."""
        del self.said[event]

    async def wait_said(self, event: str) -> dict[str, Any]:
        """Wait until it has logged `event`. Raises ChildProcessError: it has ended, or cannot store its numbers."""
        while event not in self.said:
            if failure := self.said.get("sink.failing"):
                raise ChildProcessError(f"{self.name}: {failure['error']}; set TMPDIR to a folder with room")
            if self.has_ended:
                raise ChildProcessError(f"{self.name} has ended: {self.last_words.removeprefix('randstream: ')}")
            self.news.clear()
            await self.news.wait()
        return self.said[event]

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal and wait until it has gone."""
        if self.child is not None:
            send_signal(self.child, number)
            await self.child.wait()

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        assert child.stderr is not None
        async for line in child.stderr:
            self.last_words = line.decode().strip()
            with contextlib.suppress(ValueError):
                event = json.loads(self.last_words)
                self.said[event["event"]] = event
                self.stood_still += event.get("interruption", 0.0)
                if event["event"] == "link.closed":
                    self.acked[event.get("worker")] = event["acked"]
            self.news.set()
        self.has_ended = True
        self.news.set()
