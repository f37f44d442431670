"""The examples, run as their READMEs say."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.harness import NUMBERS, SEED, free_port, until

from randstream.producer import Producer
from randstream.protocol.frames import Beat, Open, crc32c
from randstream.settings import ProducerSettings
from randstream.store import DurableSink
from randstream.stream import NumberStream

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_pi_over_workers_equals_pi_from_the_seed_alone() -> None:
    run = subprocess.run(
        [sys.executable, EXAMPLES / "pi" / "run.py", "--workers", "2", "--points", "20000"],
        capture_output=True, text=True, timeout=25, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0].split()[-1] == lines[1].split()[-1]
    assert abs(float(lines[0].split()[-1]) - np.pi) < 0.05
    assert lines[2] == "equal to the last digit"


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
    read = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, EXAMPLES / "read_store" / "read.py", folder],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    means = dict(line.split(maxsplit=1) for line in read.stdout.splitlines())
    expected = f"{stream.read(0, 3000).mean():.6f}"
    assert means.pop("pandas") in (expected, "not installed")
    assert means == {"randstream": expected, "numpy": expected, "awk": expected}


@pytest.mark.skipif(not shutil.which("nc.openbsd"), reason="Debian's netcat-openbsd is not installed")
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_bash_worker_survives_kills_and_cuts_without_a_gap_or_a_repeat(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "bash-0.numbers"
    script = [EXAMPLES / "bash_worker" / "worker.sh", str(port), "bash-0"]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(script, cwd=tmp_path, start_new_session=True)

    settings = ProducerSettings(
        workers=f"127.0.0.1:{port}", seed=SEED, numbers=NUMBERS, rate=200, heartbeat_interval=0.1, grace_period=0.0
    )
    producer = Producer(settings)
    worker = start()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(producer.run())
            for target in (20, 60, 100):
                await until(lambda target=target: file.exists() and file.read_bytes().count(b"\n") > target)
                os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
                worker = start()
            await until(lambda: file.read_bytes().count(b"\n") > 140)
            producer.stop()
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    lines = file.read_bytes()
    assert lines == NumberStream(SEED, "bash-0", NUMBERS).lines(0, lines.count(b"\n"))
