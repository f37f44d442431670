"""Process: the demo notices if one of its processes ends."""

from __future__ import annotations

import asyncio

import pytest

from randstream.cli.demo.process import Process


def test_a_process_that_ends_early_is_reported_with_its_last_words() -> None:
    async def wait() -> None:
        process = Process(["worker", "--listen", "nowhere"])
        async with asyncio.TaskGroup() as group:
            await process.start(group)
            with pytest.raises(RuntimeError, match="--listen"):
                await process.wait_said("worker.listening")
            await process.end()

    asyncio.run(wait())
