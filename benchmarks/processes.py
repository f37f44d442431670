"""Processes of a benchmark: started and ended together, their CPU time and memory measured by the kernel."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Usage:
    """What a group of processes used, as the kernel counts it."""

    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    """The sum of the peaks of all processes."""


@dataclass(slots=True)
class Group:
    """A group of processes. `usage` is complete once all of them have ended."""

    usage: Usage = field(default_factory=Usage)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process of the group."""
        options.setdefault("stderr", subprocess.DEVNULL)
        child = subprocess.Popen(command, **options)
        self.children.append(child)
        return child

    def reap(self, child: subprocess.Popen[bytes], number: int | None = None, patience: float = 5.0) -> None:
        """Send the signal `number`, wait, kill after `patience` seconds, and add what the process used."""
        if child not in self.children:
            return
        self.children.remove(child)
        if number is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)
        deadline = time.monotonic() + patience
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
            time.sleep(0.005)
        child.returncode = os.waitstatus_to_exitcode(status)
        self.usage.cpu_seconds += used.ru_utime + used.ru_stime
        self.usage.peak_bytes += used.ru_maxrss * 1024


@contextlib.contextmanager
def process_group() -> Iterator[Group]:
    """A group. Its processes do not outlive the block."""
    group = Group()
    try:
        yield group
    finally:
        for child in list(group.children):
            group.reap(child, signal.SIGKILL)
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_port(port: int, patience: float = 10.0) -> None:
    """Wait until somebody listens. Raises TimeoutError."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on port {port}")
