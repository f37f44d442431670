"""Processes: `python -m randstream` as users start it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.waiting import PATIENCE


class Process:
    """One process: its log events and its standard output, as they come."""

    def __init__(self, *arguments: str, stdout: int | None = subprocess.PIPE) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RANDSTREAM_")}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "randstream", *arguments], stdout=stdout, stderr=subprocess.PIPE, env=environment
        )
        self.log: list[dict[str, Any]] = []
        self.out = b""
        self._news = threading.Condition()
        self._readers = [threading.Thread(target=self._read_log, daemon=True)]
        if stdout == subprocess.PIPE:
            self._readers.append(threading.Thread(target=self._read_out, daemon=True))
        for reader in self._readers:
            reader.start()

    def wait_event(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait for the first log event of this name with these fields, and return it."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}
            return next((each for each in self.log if wanted.items() <= each.items()), None)

        with self._news:
            self._news.wait_for(found, PATIENCE)
            event_found = found()
        assert event_found is not None, f"no {event} in {self.log}"
        return event_found

    def wait_out(self, is_enough: Callable[[bytes], Any]) -> bytes:
        """Wait until standard output is enough, and return all of it."""
        with self._news:
            assert self._news.wait_for(lambda: is_enough(self.out), PATIENCE), f"only {self.out[-100:]!r}"
            return self.out

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit status."""
        self.popen.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end; return the exit status."""
        status = self.popen.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return status

    def _read_log(self) -> None:
        assert self.popen.stderr is not None
        with self.popen.stderr as lines:
            for line in lines:
                with self._news:
                    self.log.append(json.loads(line) if line.startswith(b"{") else {"event": line})
                    self._news.notify_all()

    def _read_out(self) -> None:
        assert isinstance(self.popen.stdout, io.BufferedReader)
        with self.popen.stdout as out:
            while data := out.read1(2**16):
                with self._news:
                    self.out += data
                    self._news.notify_all()


@contextmanager
def processes() -> Iterator[Callable[..., Process]]:
    """Yield a function that starts a process. All of them are gone when the block ends."""
    started: list[Process] = []

    def start(*arguments: str, **more: Any) -> Process:
        started.append(Process(*arguments, **more))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            if process.popen.poll() is None:
                process.popen.kill()
            process.wait()
