"""Clients that are many, slow or silent."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import Site, site_of, wait_cut
from tests.support.roles import a_pair
from tests.support.waiting import until

from randstream.admin import guard
from randstream.admin.guard import PLACES

MANY = 200


async def connected(site: Site, count: int) -> list[tuple[StreamReader, StreamWriter]]:
    return [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(count)]


async def test_two_hundred_silent_clients_hold_no_more_places_than_there_are_and_keep_nobody_out() -> None:
    async with site_of(FakeRole()) as site:
        clients = await connected(site, MANY)
        assert await site.get("/livez") == (200, "alive\n")
        assert site.admin.guard.waiting <= PLACES
        for reader, _ in clients[: MANY - PLACES]:  # those who had waited longest
            assert await wait_cut(reader) == b""
        for _, writer in clients:
            writer.close()


async def test_two_hundred_clients_that_never_end_their_request_keep_nobody_out() -> None:
    async with site_of(FakeRole()) as site:
        clients = await connected(site, MANY)
        for number in range(20):
            for _, writer in clients:
                if not writer.is_closing():
                    writer.write(b"GET / HTTP/1.1\r\n" if number == 0 else b"X: y\r\n")
        assert (await site.get("/readyz"))[0] == 200
        for _, writer in clients:
            writer.close()


@pytest.mark.parametrize("said", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"])
async def test_whoever_does_not_come_to_the_point_in_time_is_cut(monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.05)
    async with site_of(FakeRole()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(said)
        await wait_cut(reader)
        writer.close()
        assert site.admin.guard.waiting == 0


async def test_whoever_does_not_take_the_answer_in_time_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.1)
    async with site_of(FakeRole(links=[FakeLink(f"worker-{number}") for number in range(10_000)])) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1)
        writer.write(
            b"GET /api/links?limit=10000 HTTP/1.1\r\nHost: a\r\n\r\n" * 20
        )  # 50 MB: no socket buffers hold them
        await until(lambda: site.admin.guard.waiting == 1)
        await until(lambda: site.admin.guard.waiting == 0)
        writer.close()


async def test_an_endless_answer_takes_no_place_and_outlives_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.05)
    async with site_of(FakeRole()) as site, site.client.get("/events") as events:
        await events.content.readuntil(b"\n\n")
        assert site.admin.guard.waiting == 0
        silent, writer = await asyncio.open_connection("127.0.0.1", site.port)
        await wait_cut(silent)  # its time is over
        writer.close()
        site.tick(1.0)
        assert (await events.content.readuntil(b"\n\n")).startswith(b"data: ")


async def test_two_hundred_slow_clients_hold_up_no_stream() -> None:
    async with a_pair(discard=True) as (producer, worker), site_of(worker) as site:
        clients = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(200)]
        for _, writer in clients[::2]:
            writer.write(b"GET /api/links HTTP/1.1\r\n")
        offset = producer.links[0].acked_offset
        await until(lambda: producer.links[0].acked_offset > offset + 200)
        assert len(site.admin.guard.connections) <= PLACES
        assert producer.tally.ends.total() == 0
        for _, writer in clients:
            writer.close()
