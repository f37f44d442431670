"""Hatchery: workers as processes of their own, forked from one that has loaded all they need: twenty take no time.

`python -m tests.chaos.hatchery` reads lines `NAME PORT`, and answers each with the process id.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


class Hatchery:
    """Starts workers that discard what they take. All of them are gone when its block ends."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.pids: list[int] = []

    def hatch(self, name: str, port: int) -> int:
        """A worker on `port` of loopback; its process id."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        print(name, port, file=self._child.stdin, flush=True)
        self.pids.append(int(self._child.stdout.readline()))
        return self.pids[-1]


@contextmanager
def hatching() -> Iterator[Hatchery]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-m", __name__], cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as child:
        hatchery = Hatchery(child)
        try:
            yield hatchery
        finally:
            os.killpg(child.pid, signal.SIGKILL)  # itself and all workers: ids cannot be another's while it lives


def _serve() -> None:
    from randstream.cli import entry
    from randstream.worker import worker  # noqa: F401 - loaded once, for all

    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        name, port = line.split()
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            arguments = ["worker", "--name", name, "--listen", f"127.0.0.1:{port}", "--discard", "--grace", "0.2"]
            os._exit(entry.run([*arguments, "--log-level", "error"]))
        print(pid, flush=True)


if __name__ == "__main__":
    _serve()
