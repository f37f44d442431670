"""Offers that a worker with a real store refuses, over real sockets: no folder, and never a `#wait` without end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.streams import FOLDER, OFFERED, make_store
from tests.support.roles import a_worker

from randstream.protocol.frames import Open, encode
from randstream.worker.worker import Worker


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def answer(worker: Worker, offer: Open) -> bytes:
    """What `worker` says to `offer`, after any `#wait`."""
    reader, writer = await asyncio.open_connection(*await worker.wait_listening())
    try:
        assert await reader.readline() == b"#hello randstream/1 worker=worker-0\n"
        writer.write(encode(offer))
        async with asyncio.timeout(5):
            while (line := await reader.readline()).startswith(b"#wait"):
                pass
        return line
    finally:
        writer.close()


@pytest.mark.parametrize("numbers", ["poisson:3", "integers:2:1", "integers:01:100", "uniform:-0.0:1.0", "bits64:1"])
async def test_numbers_that_cannot_be_are_malformed_and_make_no_folder(tmp_path: Path, numbers: str) -> None:
    async with a_worker(store=tmp_path) as worker:
        assert await answer(worker, replace(OFFERED, numbers=numbers)) == b"#close reason=malformed\n"
    assert names_in(tmp_path) == ["worker-0.lock"]


async def test_other_numbers_of_a_stored_stream_are_malformed_and_the_stream_is_as_it_was(tmp_path: Path) -> None:
    make_store(tmp_path, 9)
    path = tmp_path / FOLDER / f"{0:020d}.numbers"
    before = path.read_bytes()
    async with a_worker(store=tmp_path) as worker:
        assert await answer(worker, replace(OFFERED, numbers="bits64")) == b"#close reason=malformed\n"
        assert await answer(worker, OFFERED) == b"#resume offset=9 after=start\n"
    assert path.read_bytes() == before
