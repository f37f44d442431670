"""docs/python.md: its examples print what it shows, its programs run and are typed, and its promises hold."""

from __future__ import annotations

import doctest
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.project.program import a_program
from tests.store.streams import make_store
from tests.support.ports import free_port
from tests.support.roles import HEARTBEAT, producing
from tests.support.stream import WORKER, stream
from tests.support.waiting import until

PAGE = Path(__file__).parents[2] / "docs/python.md"
TOTAL, BOTH, LOGGING = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
OFFSETS = f"""
import asyncio
from randstream import Worker, WorkerSettings

async def main() -> None:
    async with Worker(WorkerSettings(name="{WORKER}", listen="127.0.0.1:9000")) as worker:
        async for batch in worker:
            await asyncio.sleep({3 * HEARTBEAT})  # beats come while the body runs
            print(batch.offset, batch.end_offset, flush=True)

asyncio.run(main())
"""


def test_examples_print_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "store", 100)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried) == (0, PAGE.read_text().count("\n>>> "))


def is_saved_beyond(saved: Path, offset: int) -> bool:
    """Whether the program has saved a total of more than `offset` numbers."""
    return saved.exists() and json.loads(saved.read_text())[1] > offset


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_total_is_exact_after_sigkills_and_after_a_producer_that_remembers_nothing(tmp_path: Path) -> None:
    port = free_port()
    saved = tmp_path / "total.json"
    end_offset = 0
    for lives in (2, 1):
        async with producing(f"127.0.0.1:{port}", rate=20_000, heartbeat_interval=HEARTBEAT, grace_period=0.0):
            for _ in range(lives):
                with a_program(TOTAL, port, tmp_path):
                    await until(partial(is_saved_beyond, saved, end_offset + 1000))
                total, end_offset, stream_id = json.loads(saved.read_text())
                assert stream_id == stream().id
                assert total == stream().read(0, end_offset).sum()


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_crash_without_a_saved_offset_repeats_only_what_was_not_acknowledged(tmp_path: Path) -> None:
    port = free_port()

    def ranges(out: Path) -> list[tuple[int, ...]]:
        lines = out.read_text().splitlines(keepends=True)
        return [tuple(map(int, line.split())) for line in lines if line.endswith("\n")]

    async with producing(f"127.0.0.1:{port}", rate=20_000, heartbeat_interval=HEARTBEAT, grace_period=0.0) as producer:
        (link,) = producer.links
        with a_program(LOGGING + OFFSETS, port, tmp_path) as out:
            await until(lambda: link.acked_offset > 0)
        first = ranges(out)
        await until(lambda: not link.is_up)
        acked = link.acked_offset
        with a_program(LOGGING + OFFSETS, port, tmp_path) as out:
            await until(lambda: ranges(out))
            again = ranges(out)[0][0]
    assert [start for start, _ in first] == [0, *(end for _, end in first[:-1])]
    assert again == acked
    assert 0 < acked <= first[-1][1]


def test_producer_and_worker_run_in_one_program() -> None:
    run = subprocess.run([sys.executable, "-c", BOTH], capture_output=True, text=True, check=True)
    numbers = re.findall(r"^[0-9]+ \[ *([^]]*)\]", run.stdout, re.MULTILINE)
    assert [int(number) for line in numbers for number in line.split()][:20] == stream().read(0, 20).tolist()
    assert run.stderr == ""


def test_events_go_to_the_standard_librarys_logging() -> None:
    levels = "import logging\nlogging.basicConfig(level=logging.INFO)\n"
    run = subprocess.run([sys.executable, "-c", levels + LOGGING + BOTH], capture_output=True, text=True, check=True)
    assert "INFO:randstream:worker.listening" in run.stderr
    assert "worker.listening" not in run.stdout


@pytest.mark.slow
def test_programs_are_typed(tmp_path: Path) -> None:
    for number, program in enumerate((TOTAL, BOTH, LOGGING)):
        (tmp_path / f"program_{number}.py").write_text(program)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(tmp_path)]
    run = subprocess.run(mypy, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, "Success: no issues found in 3 source files\n", "")
