"""Relay: passes bytes both ways, and can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from tests.support.peers import Listener, Peer, a_listener
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

from randstream.cli.demo.relay import Relay


class Path:
    """A relay, its port, and the connections made through it."""

    def __init__(self, relay: Relay, port: int) -> None:
        self.relay = relay
        self.made: list[Peer] = []
        self._port = port

    async def dial(self) -> Peer:
        """The near end of a new connection."""
        self.made.append(Peer(*await asyncio.open_connection("127.0.0.1", self._port)))
        return self.made[-1]

    async def connect(self, worker: Listener) -> tuple[Peer, Peer]:
        """Both ends of a new connection, after a first line."""
        near, far = await self.dial(), await worker.peer()
        near.say(b"#open\n")
        assert await far.line() == b"#open\n"
        return near, far


@asynccontextmanager
async def a_path(port: int) -> AsyncIterator[Path]:
    """A path to `port`, closed when the block ends."""
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        relay = Relay(port)
        path = Path(relay, await relay.start(group))
        try:
            yield path
        finally:
            relay.close()
            for peer in path.made:
                peer.cut()


async def test_bytes_pass_both_ways() -> None:
    async with a_listener() as worker, a_path(worker.port) as path:
        near, far = await path.connect(worker)
        near.say(b"1\n2\n")
        far.say(b"#resume\n")
        assert await far.line() + await far.line() == b"1\n2\n"
        assert await near.line() == b"#resume\n"


async def test_a_cut_ends_every_connection_at_both_ends_and_the_next_one_works() -> None:
    async with a_listener() as worker, a_path(worker.port) as path:
        ends = [*await path.connect(worker), *await path.connect(worker)]
        path.relay.cut()
        for end in ends:
            assert await end.rest() == b""
        await path.connect(worker)


@pytest.mark.parametrize("leaver", [0, 1])
async def test_what_was_said_arrives_before_the_end_when_either_end_leaves(leaver: int) -> None:
    async with a_listener() as worker, a_path(worker.port) as path:
        ends = await path.connect(worker)
        ends[leaver].say(b"last words\n")
        ends[leaver].writer.close()
        assert await ends[1 - leaver].rest() == b"last words\n"


async def test_a_worker_that_is_away_is_a_connection_that_ends_at_once() -> None:
    async with a_path(free_port()) as path:
        near = await path.dial()
        assert await near.rest() == b""


async def test_a_closed_relay_cannot_be_dialled() -> None:
    async with a_listener() as worker, a_path(worker.port) as path:
        path.relay.close()
        with pytest.raises(OSError, match=r"Connect call failed|refused"):
            await path.dial()


async def test_a_connection_that_is_not_through_yet_ends_with_the_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, began = asyncio.open_connection, asyncio.Event()

    async def dial_for_ever(host: str, port: int) -> None:
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", dial_for_ever)
    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            relay = Relay(1)
            near = Peer(*await connect("127.0.0.1", await relay.start(group)))
            await began.wait()
            relay.close()
            raise ArithmeticError
    assert await near.rest() == b""
    near.cut()
