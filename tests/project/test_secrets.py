"""A seed that is given stays secret: it is in nothing that a producer writes, serves or shows."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

from randstream.numbers.stream import NumberStream
from randstream.settings import ProducerSettings, settings_of

SEED = "Zq8-a-seed-that-nothing-else-spells"
BROKEN = """
import randstream.producer.stream_session as sessions
class Bug(Exception): pass
def fail(self, link, context, now):
    seed = context.seed.text  # a local variable, as debuggers and pretty tracebacks show them
    raise Bug("on purpose")
sessions.StreamSession.__init__ = fail
from randstream.cli.entry import main
main()
"""
"""A producer that fails where the seed is a local variable, so that a traceback is logged."""


class Roles:
    """A worker and a producer as processes, and everything they have written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = free_port()
        self._pause = threading.Event()
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, code: str | None = None, **variables: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, *(["-m", "randstream"] if code is None else ["-c", code]), *arguments]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RANDSTREAM_")}
        with (self.folder / f"{arguments[0]}.log").open("wb") as log:
            child = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=log, stdin=subprocess.DEVNULL,
                env={**clean, "PYTHONASYNCIODEBUG": "1", "RANDSTREAM_LOG_LEVEL": "debug", **variables},
            )  # fmt: skip
        self.children.append(child)
        return child

    def written(self, role: str) -> str:
        return (self.folder / f"{role}.log").read_text()

    def wait_written(self, role: str, word: str) -> None:
        deadline = monotonic() + PATIENCE
        while word not in self.written(role):
            assert monotonic() < deadline, f"no {word} in {self.written(role)}"
            self._pause.wait(0.01)

    def get(self, path: str, size: int = 2**20) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=60) as answer:
            text: bytes = answer.read1(size)
            return text.decode()


@contextmanager
def roles(folder: Path) -> Iterator[Roles]:
    running = Roles(folder)
    try:
        yield running
    finally:
        for child in running.children:
            child.kill()
            child.wait()


@pytest.mark.parametrize("given", ["file", "variable", "flag"])
def test_a_given_seed_appears_nowhere_but_where_it_was_typed(given: str, tmp_path: Path) -> None:
    (tmp_path / "seed").write_text(SEED)
    port = free_port()
    with roles(tmp_path) as running:
        running.start("worker", "--discard", "--name", "worker-0", "--listen", f"127.0.0.1:{port}", "--loop", "asyncio")
        flags = {"file": ["--seed-file", str(tmp_path / "seed")], "flag": ["--seed", SEED], "variable": []}[given]
        variables = {"RANDSTREAM_SEED": SEED} if given == "variable" else {}
        targets = f"127.0.0.1:{port},127.0.0.1:{free_port()},no-such-host.invalid:1"
        producer = running.start(
            "producer", "--workers", targets, "--loop", "asyncio", "--admin", f"127.0.0.1:{running.admin}", *flags,
            **variables,
        )  # fmt: skip
        running.wait_written("producer", "link.resumed")
        running.wait_written("producer", "link.unreachable")
        served = [running.get(path) for path in ("/", "/metrics", "/api/links", "/readyz")]
        served.append(running.get("/events", 4096))
        title = Path(f"/proc/{producer.pid}/cmdline").read_text()
        producer.terminate()
        assert producer.wait(10) == 0
        told = [*served, running.written("producer"), running.written("worker")]
    assert all(told)
    assert not [text for text in told if SEED in text]
    assert (SEED in title) == (given == "flag")


def test_a_drawn_seed_is_logged_once(tmp_path: Path) -> None:
    with roles(tmp_path) as running:
        producer = running.start("producer", "--workers", f"127.0.0.1:{free_port()}", "--grace", "0")
        running.wait_written("producer", "link.unreachable")
        producer.terminate()
        assert producer.wait(10) == 0
        lines = running.written("producer").splitlines()
    (drawn,) = [json.loads(line)["seed"] for line in lines if '"producer.seed_drawn"' in line]
    assert sum(drawn in line for line in lines) == 1


@pytest.mark.parametrize("at_terminal", [False, True], ids=["json", "terminal"])
def test_a_traceback_does_not_show_the_seed(at_terminal: bool, tmp_path: Path) -> None:
    (tmp_path / "seed").write_text(SEED)
    port = free_port()
    with roles(tmp_path) as running:
        running.start("worker", "--discard", "--listen", f"127.0.0.1:{port}")
        arguments = ["producer", "--workers", f"127.0.0.1:{port}", "--seed-file", str(tmp_path / "seed")]
        if at_terminal:
            text = seen_at_a_terminal([sys.executable, "-c", BROKEN, *arguments])
        else:
            assert running.start(*arguments, code=BROKEN).wait(20) == 1
            text = running.written("producer")
    assert "on purpose" in text
    assert "Traceback" in text
    assert SEED not in text


def seen_at_a_terminal(command: list[str]) -> str:
    """What a process writes to a terminal, until it ends."""
    ours, theirs = pty.openpty()
    seen = b""

    def read() -> None:
        nonlocal seen
        try:
            while data := os.read(ours, 2**16):
                seen += data
        except OSError:  # the other side of the terminal is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=theirs, check=False)
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert done.returncode == 1
    return seen.decode()


def test_no_repr_and_no_error_contains_the_seed(capsys: pytest.CaptureFixture[str]) -> None:
    from randstream.cli import entry as cli
    from randstream.producer.producer import Producer

    settings = ProducerSettings(workers="a:1", seed=SEED)
    producer, stream = Producer(settings), NumberStream(SEED, "worker-0", "bits64")
    for each in (settings, producer, producer.inputs, stream, settings_of(ProducerSettings)):
        assert SEED not in repr(each)
    for flags in (["--rate", "0"], ["--rate", "1", "--seed-file", "x"], ["--numbers", SEED[:3]], ["extra"]):
        assert cli.run(["producer", "--workers", "a:1", "--seed", SEED, *flags]) == 2
        assert SEED not in capsys.readouterr().err
