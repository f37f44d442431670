"""Logs: of all pods together, in order of time, and of those that replace them. Needs only Python and kubectl.

logs.py [--json] [--once] [--tail N]    follow them until Ctrl-C, from the last N (10) lines of each pod on
"""

from __future__ import annotations

import argparse
import heapq
import os
import queue
import subprocess
import sys
import time
from datetime import datetime
from signal import SIGTERM, default_int_handler, signal
from threading import Thread

import cluster
from cluster import Failed, Object
from lines import Line, Moment, Printer, parse

LOOK_SECONDS = 1.0
"""Between two looks for new pods."""
HOLD_SECONDS = 1.0
"""For which a line waits for an earlier one of another pod."""
START_SECONDS = 3.0
"""For which the first lines wait for pods that have not said anything yet."""
Key = tuple[str, str, int]
"""One run of a pod's container: the pod's name, its uid, how often the container was restarted."""


def main(arguments: list[str]) -> int:
    """Show them; the exit status."""
    parser = argparse.ArgumentParser(prog="make logs ARGS=...", description="Follow the logs of all pods.")
    parser.add_argument("--json", action="store_true", help="JSON lines, with the name of the pod")
    parser.add_argument("--once", action="store_true", help="show what there is, and end")
    parser.add_argument("--tail", type=int, default=10, help="begin with the last so many lines of each pod; -1: all")
    options = parser.parse_args(arguments)
    signal(SIGTERM, default_int_handler)  # as Ctrl-C
    try:
        objects = cluster.get_deployed("pods")
        printer = Printer(max(len(each["metadata"]["name"]) for each in objects), as_json=options.json)
        if options.once:
            for line in sorted(read_once(objects, options.tail), key=lambda line: line.moment):
                printer.print(line)
        else:
            Followed(printer, options.tail).run()
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the interpreter's own flush says nothing
    except KeyboardInterrupt:
        pass
    return 0


def read_once(objects: list[Object], tail: int) -> list[Line]:
    """What the logs of these pods hold."""
    found = []
    for pod, *_ in runs_of(objects):
        text = cluster.kubectl("logs", "--timestamps", f"--tail={tail}", pod)
        found += [parsed for each in text.splitlines() if (parsed := parse(pod, each))]
    return found


def runs_of(objects: list[Object]) -> list[Key]:
    """The containers that have a log."""
    return [
        (pod["metadata"]["name"], pod["metadata"]["uid"], status["restartCount"])
        for pod in objects
        for status in pod["status"].get("containerStatuses", [])
        if "waiting" not in status["state"] or status["restartCount"]
    ]


class Merge:
    """Puts lines in order of time. Each is held for a moment: an earlier one may still come, from another pod."""

    def __init__(self, since: float) -> None:
        self._held: list[tuple[Moment, int, float, Line]] = []
        self._count = 0
        self._starts = since + START_SECONDS

    def add(self, line: Line, now: float) -> None:
        """A line has come."""
        self._count += 1  # lines of one pod and moment keep their order
        heapq.heappush(self._held, (line.moment, self._count, now, line))

    def take(self, now: float, *, all_spoke: bool = False) -> list[Line]:
        """Those that need not wait any longer; the first ones wait until every pod `all_spoke`, for some seconds."""
        if all_spoke:
            self._starts = min(self._starts, now)
        taken = []
        # One that is due takes all that are earlier with it.
        due = max((each for each in self._held if each[2] + HOLD_SECONDS <= now), default=None)
        while now >= self._starts and due is not None and self._held and self._held[0] <= due:
            taken.append(heapq.heappop(self._held)[3])
        return taken


class Followed:
    """All pods that are there, and those that come."""

    def __init__(self, printer: Printer, tail: int) -> None:
        self._printer = printer
        self._tail = tail
        self._came: queue.SimpleQueue[Line | Key] = queue.SimpleQueue()
        """Lines, and the runs whose log has ended."""
        self._readers: dict[Key, tuple[subprocess.Popen[str], Thread] | None] = {}
        """None: ended."""
        self._last: dict[Key, Moment] = {}
        self._first: set[str] = set()
        """The pods that were there at first and have said nothing yet."""

    def run(self) -> None:
        """Print until Ctrl-C."""
        merge = Merge(time.monotonic())
        looked = -LOOK_SECONDS
        try:
            while True:
                if time.monotonic() >= looked + LOOK_SECONDS:
                    self._look()
                    looked = time.monotonic()
                self._collect(merge)
                for line in merge.take(time.monotonic(), all_spoke=not self._first):
                    self._printer.print(line)
        finally:
            for reading in filter(None, self._readers.values()):
                reading[0].kill()
                reading[1].join()

    def _look(self) -> None:
        """Follow what is not followed yet."""
        try:
            found = runs_of(cluster.get("pods"))
        except Failed:
            return  # it is asked again in a moment
        is_first = not self._readers
        if is_first:
            self._first = {key[0] for key in found}
        for key in found:
            if self._readers.get(key) is None:
                self._follow(key, self._tail if is_first else -1)

    def _follow(self, key: Key, tail: int) -> None:
        command = ["kubectl", f"--namespace={cluster.NAMESPACE}", "logs", "--follow", "--timestamps", key[0]]
        if key in self._last:  # it was cut off
            seconds = datetime.fromtimestamp(self._last[key][0]).astimezone()
            command.append(f"--since-time={seconds.isoformat()}")
        else:
            command.append(f"--tail={tail}")
        # A session of its own: Ctrl-C is not for it.
        reader = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace",
            start_new_session=True,
        )  # fmt: skip
        thread = Thread(target=self._read, args=(key, reader), daemon=True)
        self._readers[key] = reader, thread
        thread.start()

    def _read(self, key: Key, reader: subprocess.Popen[str]) -> None:
        """Pass its lines on. In a thread."""
        assert reader.stdout is not None
        last = self._last.get(key)
        with reader:
            for text in reader.stdout:
                line = parse(key[0], text)
                if line is not None and (last is None or line.written > last):
                    self._last[key] = line.written
                    self._came.put(line)
        self._came.put(key)

    def _collect(self, merge: Merge) -> None:
        """Take what comes within a tenth of a second."""
        until = time.monotonic() + 0.1
        while (left := until - time.monotonic()) > 0:
            try:
                came = self._came.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(came, Line):
                self._first.discard(came.pod)
                merge.add(came, time.monotonic())
            else:
                self._first.discard(came[0])
                self._readers[came] = None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
