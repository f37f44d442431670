"""A disk that is full or read-only: nothing is acknowledged, nothing is lost, and both roles say so."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.chaos.duo import WORKER, Duo, running_duo
from tests.chaos.ledger import Ledger
from tests.chaos.process import HEARTBEAT, ROOT
from tests.chaos.small_disk import fill, mount_again, remount, small_ext4, small_tmpfs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.asyncio(loop_factories=["asyncio"])]

STILL_HEARTBEATS = 10


async def assert_stalled(duo: Duo, why: str, since: int) -> None:
    """The worker logs why, the producer sees a stall and no end, readiness fails, and nothing is acknowledged."""
    failing = await duo.worker.wait_said("sink.failing")
    assert why in failing["error"]
    assert str(duo.store) in failing["error"]
    await duo.producer.wait_said("link.stalled", since)
    assert await duo.readiness() == 503
    acked, heard = duo.ledger.acked[WORKER], len(duo.producer.events)
    await asyncio.sleep(STILL_HEARTBEATS * HEARTBEAT)
    assert duo.ledger.acked[WORKER] == acked
    assert not duo.producer.has_said("link.lost", heard)


async def test_a_full_disk_stalls_the_stream_and_with_space_it_resumes_with_nothing_lost_or_repeated(
    tmp_path: Path, ledger: Ledger
) -> None:
    with small_tmpfs(tmp_path / "disk") as disk:
        async with running_duo(ledger, disk / "store") as duo:
            ballast = fill(disk)
            await assert_stalled(duo, "No space left on device", 0)
            assert sum(event["event"] == "sink.failing" for event in duo.worker.events) == 1
            ballast.unlink()
            await duo.worker.wait_said("sink.recovered")
            await duo.producer.wait_said("link.recovered")
            await duo.wait_moving(1000)
            assert await duo.readiness() == 200
        duo.prove()


async def test_a_worker_restarted_on_a_full_disk_resumes_when_there_is_space(tmp_path: Path, ledger: Ledger) -> None:
    with small_tmpfs(tmp_path / "disk") as disk:
        async with running_duo(ledger, disk / "store") as duo:
            for _ in range(3):
                ballast = fill(disk)
                await duo.worker.wait_said("sink.failing", len(duo.worker.events))
                await duo.worker.end(signal.SIGKILL)
                await duo.worker.start("worker.listening")
                await asyncio.sleep(STILL_HEARTBEATS * HEARTBEAT)
                ballast.unlink()
                await duo.wait_moving(1000)
        duo.prove()


async def test_a_disk_that_turns_read_only_stalls_the_stream_until_it_is_repaired(
    tmp_path: Path, ledger: Ledger
) -> None:
    image = tmp_path / "image"
    with small_ext4(tmp_path / "disk", image) as disk:
        async with running_duo(ledger, disk / "store") as duo:
            remount(disk, "abort")
            await assert_stalled(duo, "Read-only file system", 0)
            await duo.worker.end(signal.SIGKILL)
            mount_again(disk, image)
            await duo.worker.start("worker.listening")
            await duo.wait_moving(1000)
        duo.prove()


async def test_a_worker_on_a_read_only_store_says_so_in_one_line_and_starts_once_it_can_write(
    tmp_path: Path, ledger: Ledger
) -> None:
    with small_tmpfs(tmp_path / "disk") as disk:
        async with running_duo(ledger, disk / "store") as duo:
            await duo.worker.end(signal.SIGKILL)
            remount(disk, "ro")
            command = [sys.executable, "-m", "randstream", "worker", "--listen", "127.0.0.1:0", "--name", WORKER]
            command += ["--store", str(duo.store)]
            refused = await asyncio.to_thread(
                lambda: subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
            )
            assert refused.returncode == 2
            (line,) = [line for line in refused.stderr.splitlines() if not line.startswith("{")]
            assert str(duo.store) in line
            assert "Read-only file system" in line
            remount(disk, "rw")
            await duo.worker.start("worker.listening")
            await duo.wait_moving(1000)
        duo.prove()
