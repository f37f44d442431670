"""The examples, run as their READMEs say."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from tests.support.ports import free_port
from tests.support.processes import processes
from tests.support.stream import NUMBERS, SEED
from tests.support.waiting import PATIENCE, until

from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, Open, crc32c
from randstream.store import DurableSink, verify

EXAMPLES = Path(__file__).parents[2] / "examples"
PI = str(EXAMPLES / "pi" / "run.py")
READ_STORE = str(EXAMPLES / "read_store" / "read.py")


def test_pi_over_workers_equals_pi_from_the_seed_alone() -> None:
    run = subprocess.run(
        [sys.executable, PI, "--workers", "2", "--points", "20000"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].split()[-1] == lines[1].split()[-1]
    assert abs(float(lines[0].split()[-1]) - np.pi) < 0.05
    assert lines[2] == "equal to the last digit"


@pytest.mark.skipif(not shutil.which("pgrep"), reason="procps is not installed")
def test_pi_ends_on_ctrl_c_without_a_word_and_leaves_no_process() -> None:
    command = [sys.executable, PI, "--workers", "2", "--points", "100000000"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def count() -> int:
        members = subprocess.run(["pgrep", "-s", str(run.pid)], stdout=subprocess.PIPE, check=False)
        return len(members.stdout.split())

    deadline = monotonic() + PATIENCE
    try:
        while count() < 4:  # itself, the workers and the producer
            assert monotonic() < deadline
        run.send_signal(signal.SIGINT)
        assert run.communicate(timeout=PATIENCE) == (b"", b"")
        assert run.returncode == 130
        assert count() == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [([], "give the folder of a store: read.py STORE"), (["nowhere"], "nowhere")],
)
def test_store_that_cannot_be_read_is_one_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    command = [sys.executable, READ_STORE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    [told] = done.stderr.splitlines()
    assert line in told


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_store_reads_the_same_in_every_way(tmp_path: Path) -> None:
    stream = NumberStream(SEED, "worker-0", NUMBERS)
    sink = DurableSink(tmp_path, "worker-0", segment_bytes=2000)
    await sink.start()
    await sink.open(Open("worker-0", stream.id, NUMBERS, "p", 1.0))
    for offset in range(0, 3000, 1000):
        run = stream.lines(offset, 1000)
        sink.append(run, 1000)
        sink.prove(Beat(offset + 1000, crc32c(run), "1"))
        await sink.commit()
    await sink.close()
    folder = tmp_path / f"worker-0-{stream.id}"
    assert len(list(folder.iterdir())) > 1
    command = [sys.executable, READ_STORE, str(tmp_path)]
    read = await asyncio.to_thread(lambda: subprocess.run(command, capture_output=True, text=True, check=True))
    assert read.stderr == ""  # though the last segment has no number yet
    means = dict(line.split(maxsplit=1) for line in read.stdout.splitlines())
    expected = f"{stream.read(0, 3000).mean():.6f}"
    assert means.pop("pandas") in (expected, "not installed")
    assert means == {"randstream": expected, "numpy": expected, "awk": expected}


@pytest.mark.skipif(
    not (shutil.which("nc.openbsd") and shutil.which("pkill")), reason="netcat-openbsd or procps is not installed"
)
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_bash_worker_survives_kills_and_cuts_without_a_gap_or_a_repeat(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "bash-0.numbers"
    producing = ("producer", "--workers", f"127.0.0.1:{port}", "--seed", SEED, "--rate", "200", "--heartbeat", "0.1")

    def start_worker() -> subprocess.Popen[bytes]:
        return subprocess.Popen([EXAMPLES / "bash_worker" / "worker.sh", str(port), "bash-0"], cwd=tmp_path)

    async def grow() -> None:
        size = file.stat().st_size if file.exists() else 0
        await until(lambda: file.exists() and file.stat().st_size > size + 100)

    worker = start_worker()
    try:
        with processes() as start:
            producer = start(*producing)
            for _ in range(2):
                await grow()
                worker.kill()  # its netcat is left behind
                worker.wait()
                worker = start_worker()
                await grow()
                await asyncio.to_thread(subprocess.run, ["pkill", "-P", str(worker.pid), "nc"], check=True)  # a cut
                await grow()
                producer.end(signal.SIGKILL)
                producer = start(*producing)
            await grow()
    finally:
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED, "a netcat is left behind"
    lines = file.read_bytes()
    assert lines == NumberStream(SEED, "bash-0", NUMBERS).lines(0, lines.count(b"\n"))


@contextmanager
def node(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the JavaScript example, running."""
    file, *rest = arguments
    program = subprocess.Popen(["node", EXAMPLES / "javascript" / str(file), *map(str, rest)])
    try:
        yield program
    finally:
        program.kill()
        program.wait()


has_node = pytest.mark.skipif(not shutil.which("node"), reason="nodejs is not installed")


@has_node
@pytest.mark.parametrize("numbers", ["integers:1:100", "bits64", "bernoulli:0.5", "uniform:-1.0:1.0"])
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_javascript_producer_sends_what_the_seed_makes_through_a_kill_of_either_end(
    numbers: str, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    working = ("worker", "--name", "worker-0", "--listen", address, "--store", str(tmp_path))
    producing = ("producer.js", address, SEED, numbers, "js-p", "0.1", "2000")

    def stored() -> int:
        return sum(each.count for each in verify([tmp_path], SEED).streams) if list(tmp_path.glob("*/*.numbers")) else 0

    with processes() as start:
        worker = start(*working)
        for _ in range(2):
            with node(*producing):
                before = stored()
                await until(lambda before=before: stored() > before + 200)
                worker.end(signal.SIGKILL)
                worker = start(*working)
                worker.wait_event("link.resumed")
                before = stored()
                await until(lambda before=before: stored() > before + 200)
        assert worker.end() == 0
    report = verify([tmp_path], SEED)
    assert report.ok
    assert [each.folder.name for each in report.streams] == [f"worker-0-{NumberStream(SEED, 'worker-0', numbers).id}"]


@has_node
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_javascript_worker_keeps_every_number_through_a_kill_of_either_end(tmp_path: Path) -> None:
    port = free_port()
    stream = NumberStream(SEED, "js-0", NUMBERS)
    file = tmp_path / f"js-0-{stream.id}.numbers"
    producing = ("producer", "--workers", f"127.0.0.1:{port}", "--seed", SEED, "--rate", "2000", "--heartbeat", "0.1")

    def size() -> int:
        return file.stat().st_size if file.exists() else 0

    with processes() as start:
        producer = start(*producing)
        for _ in range(2):
            with node("worker.js", f"127.0.0.1:{port}", "js-0", tmp_path):
                before = size()
                await until(lambda before=before: size() > before + 1000)
                producer.end(signal.SIGKILL)
                producer = start(*producing)
                await until(lambda before=before: size() > before + 2000)
    lines = file.read_bytes()
    assert lines == stream.lines(0, lines.count(b"\n"))


@has_node
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_javascript_pair_streams_and_the_better_of_two_producers_comes_next(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    stream = NumberStream(SEED, "js-0", NUMBERS)
    file = tmp_path / f"js-0-{stream.id}.numbers"

    def size() -> int:
        return file.stat().st_size if file.exists() else 0

    with node("worker.js", address, "js-0", tmp_path), node("producer.js", address, SEED, NUMBERS, "a", "0.1", "2000"):
        await until(lambda: size() > 1000)
        with node("producer.js", address, SEED, NUMBERS, "b", "0.1", "2000") as other:
            await until(lambda: size() > 2000)
            other.kill()
            before = size()
            await until(lambda: size() > before + 1000)
    lines = file.read_bytes()
    assert lines == stream.lines(0, lines.count(b"\n"))


def test_javascript_example_is_short_and_needs_nothing() -> None:
    sources = {path.stem: path.read_text() for path in (EXAMPLES / "javascript").glob("*.js")}
    assert sources.keys() == {"blake2b", "producer", "wire", "worker"}
    assert sum(source.count("\n") for stem, source in sources.items() if stem != "blake2b") <= 300
    needed = {name for source in sources.values() for name in re.findall(r"require\('([^']+)'\)", source)}
    assert needed == {"crypto", "net", "fs", "path", "./wire", "./blake2b"}
