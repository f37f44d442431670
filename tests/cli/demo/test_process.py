"""Process: the demo notices if one of its processes ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from randstream.cli.demo.process import Process


def test_a_process_that_ends_early_is_reported_with_its_last_words() -> None:
    async def wait() -> None:
        process = Process("p", ["worker", "--listen", "nowhere"])
        async with asyncio.TaskGroup() as group:
            await process.start(group)
            with pytest.raises(ChildProcessError, match="p has ended: --listen"):
                await process.wait_said("worker.listening")
            await process.end()

    asyncio.run(wait())


def test_a_process_that_cannot_store_is_reported_instead_of_waited_for() -> None:
    process = Process("p", [])
    process.said["sink.failing"] = {"error": "cannot write x: No space left on device"}
    with pytest.raises(ChildProcessError, match="p: cannot write x: No space left on device; set TMPDIR"):
        asyncio.run(process.wait_said("link.resumed"))


def test_a_process_runs_nothing_that_lies_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "randstream").mkdir()
    (tmp_path / "randstream" / "__init__.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)

    async def status() -> int:
        process = Process("p", ["--version"])
        async with asyncio.TaskGroup() as group:
            await process.start(group)
            assert process.child is not None
            return await process.child.wait()

    assert asyncio.run(status()) == 0
