"""deploy/silence.py finds the longest silence, and asks the right producer to end. Needs no cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final

import pytest
from tests.project.scripts import load

silence = load("silence")

LOOKS: Final = 30
"""How often the watcher asks in a test. It waits 20 ms in between, however slow the machine."""
Watch = Callable[[Callable[[int], int]], tuple[dict[str, Any], float]]


class Scripted(BaseHTTPRequestHandler):
    """A worker's admin server that has received as many numbers as `script` says of how often it was asked."""

    protocol_version = "HTTP/1.1"
    script: Callable[[int], int]
    looks: int
    enough: Event

    def do_GET(self) -> None:
        kind = type(self)
        totals = {"numbers": kind.script(kind.looks), "reconnects": int(kind.looks > 5)}
        kind.looks += 1
        body = json.dumps({"totals": totals, "links": [{"peer": "producer-1"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if kind.looks == LOOKS:
            kind.enough.set()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Runs the watcher on a worker that receives numbers by this script; gives what it found, and how long it ran."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def watch(script: Callable[[int], int]) -> tuple[dict[str, Any], float]:
            Scripted.script, Scripted.looks, Scripted.enough = staticmethod(script), 0, Event()
            command = [sys.executable, "-c", silence.WATCHER, str(server.server_port)]
            start = time.monotonic()
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watcher:
                assert silence.answer_of("worker-0", watcher) == {"producer": "producer-1"}
                assert Scripted.enough.wait(20)
                silence.close_input(watcher)
                return silence.answer_of("worker-0", watcher), time.monotonic() - start

        yield watch
        server.shutdown()
        thread.join()


@pytest.mark.kernel
def test_the_longest_time_without_a_new_number_is_found(watch: Watch) -> None:
    found, ran = watch(lambda look: look if look < 5 or look > 15 else 5)
    assert 0.2 <= found["silence"] < ran - 0.2
    assert found["changes"] == 1
    assert found["producer"] == "producer-1"


@pytest.mark.kernel
def test_a_silence_that_has_not_ended_counts_too(watch: Watch) -> None:
    found, _ = watch(lambda look: 7)
    assert found["silence"] >= (LOOKS - 1) * 0.02


def test_the_producer_that_most_workers_listen_to_is_the_one_to_end() -> None:
    producers = ["producer-0", "producer-1"]
    assert silence.chosen(producers, {"a": "producer-1", "b": "producer-1", "c": "producer-0"}) == "producer-1"
    assert silence.chosen(producers, {"a": None, "b": "somebody"}) == "producer-0"
    with pytest.raises(silence.Failed, match=r"^There is no producer: make status\.$"):
        silence.chosen([], {})


def test_the_table_has_a_line_for_each_event_and_a_column_for_each_worker() -> None:
    heard = {"worker-0": {"silence": 0.061, "changes": 1}, "worker-1": {"silence": 2.5, "changes": 12}}
    lines = silence.table([{"event": "delete", "done_to": "producer-1", "workers": heard}]).splitlines()
    assert lines[:2] == [
        "event   done to     worker-0    worker-1",
        "delete  producer-1  0.06 s (1)  2.50 s (12)",
    ]
