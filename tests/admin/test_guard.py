"""Guard: clients that are many, slow or silent."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import Site, site_of, wait_cut
from tests.support.roles import a_worker, producing
from tests.support.waiting import until

from randstream.admin import guard
from randstream.admin.guard import PLACES

MANY = 200


@asynccontextmanager
async def connected(site: Site) -> AsyncIterator[list[tuple[StreamReader, StreamWriter]]]:
    """MANY clients. They are always closed: what a failed test leaves open would fail the next one too."""
    clients: list[tuple[StreamReader, StreamWriter]] = []
    try:
        for _ in range(MANY):
            clients.append(await asyncio.open_connection("127.0.0.1", site.port))
        yield clients
    finally:
        for _, writer in clients:
            writer.close()


async def test_two_hundred_silent_clients_take_only_the_places_there_are_and_keep_nobody_out() -> None:
    async with site_of(FakeRole()) as site, connected(site) as clients:
        assert await site.get("/livez") == (200, "alive\n")
        assert site.admin.guard.waiting <= PLACES
        for reader, _ in clients[: MANY - PLACES]:  # those that had waited longest
            assert await wait_cut(reader) == b""


async def test_two_hundred_unfinished_requests_keep_nobody_out() -> None:
    async with site_of(FakeRole()) as site, connected(site) as clients:
        for number in range(20):
            for _, writer in clients:
                if not writer.is_closing():
                    writer.write(b"GET / HTTP/1.1\r\n" if number == 0 else b"X: y\r\n")
        assert (await site.get("/readyz"))[0] == 200


@pytest.mark.parametrize("said", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"])
async def test_a_client_that_does_not_send_its_next_request_in_time_is_cut(
    monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.05)
    async with site_of(FakeRole()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(said)
        await wait_cut(reader)
        writer.close()
        assert site.admin.guard.waiting == 0


async def test_a_client_that_does_not_read_its_answer_in_time_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.1)
    async with site_of(FakeRole(links=[FakeLink(f"worker-{number}") for number in range(10_000)])) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1)
        writer.write(
            b"GET /api/links?limit=10000 HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20
        )  # 50 MB: more than socket buffers hold
        await until(lambda: site.admin.guard.waiting == 1)
        await until(lambda: site.admin.guard.waiting == 0)
        writer.close()


async def test_an_endless_answer_takes_no_place_and_has_no_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.05)
    async with site_of(FakeRole()) as site, site.client.get("/events") as events:
        await events.content.readuntil(b"\n\n")
        assert site.admin.guard.waiting == 0
        silent, writer = await asyncio.open_connection("127.0.0.1", site.port)
        await wait_cut(silent)  # its time is up
        writer.close()
        site.tick(1.0)
        assert (await events.content.readuntil(b"\n\n")).startswith(b"data: ")


async def test_two_hundred_slow_clients_do_not_hold_up_the_stream() -> None:
    async with (
        a_worker(discard=True) as worker,
        # Silence ends a connection after three of these: far longer than a busy machine pauses.
        producing(worker, heartbeat_interval=0.5) as producer,
        site_of(worker) as site,
        connected(site) as clients,
    ):
        for _, writer in clients[::2]:
            writer.write(b"GET /api/links HTTP/1.1\r\n")
        offset = producer.links[0].acked_offset
        await until(lambda: producer.links[0].acked_offset > offset + 200)
        assert len(site.admin.guard.connections) <= PLACES
        assert producer.tally.ends.total() == 0
