"""Events: one snapshot a second for all watchers."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import site_of
from tests.support.waiting import until

from randstream.admin import events
from randstream.admin.observer import Observer


async def read_event(stream: aiohttp.StreamReader) -> dict[str, Any]:
    text = await stream.readuntil(b"\n\n")
    found: dict[str, Any] = json.loads(text.partition(b"data: ")[2])
    return found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The `limit` of each snapshot that was made."""
    limits: list[int] = []
    snapshot = Observer.snapshot

    def counting(self: Observer, *, limit: int, **others: Any) -> Any:
        limits.append(limit)
        return snapshot(self, limit=limit, **others)

    monkeypatch.setattr(Observer, "snapshot", counting)
    return limits


async def test_a_watcher_gets_an_event_at_once_and_at_every_tick() -> None:
    role = FakeRole()
    async with site_of(role) as site, site.client.get("/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert (await read_event(stream.content))["totals"]["numbers"] == 0
        for seconds in range(3):
            role.advance(5)
            site.tick(float(seconds))
            assert (await read_event(stream.content))["totals"]["numbers"] == 5 * (seconds + 1)


async def test_a_tick_makes_one_snapshot_for_everybody_and_none_for_nobody(made: list[int]) -> None:
    async with site_of(FakeRole()) as site:
        site.tick(0.0)
        assert made == []
        async with site.client.get("/events") as one, site.client.get("/events") as other:
            await read_event(one.content)
            await read_event(other.content)
            made.clear()
            site.tick(1.0)
            assert await read_event(one.content) == await read_event(other.content)
            assert made == [events.SHOWN_LINKS]
        await until(lambda: site.admin.events.watchers == 0)
        site.tick(2.0)
        assert made == [events.SHOWN_LINKS]


@pytest.mark.parametrize(("accepted", "coding"), [("gzip, deflate", "gzip"), ("identity", None), ("gzip;q=0", None)])
async def test_events_are_compressed_for_those_who_take_it(accepted: str, coding: str | None) -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}") for number in range(100)])
    async with site_of(role) as site, site.client.get("/events", headers={"Accept-Encoding": accepted}) as stream:
        assert stream.headers.get("Content-Encoding") == coding
        assert stream.headers["Vary"] == "Accept-Encoding"
        for seconds in range(3):
            assert (await read_event(stream.content))["totals"]["numbers"] == 500 * seconds
            role.advance(5)
            site.tick(float(seconds))


async def test_a_watcher_reads_each_event_as_it_comes_whenever_it_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[bytes] = []

    def counting(data: bytes, pack: Callable[[bytes], bytes] = events.pack) -> bytes:
        packed.append(data)
        return pack(data)

    monkeypatch.setattr(events, "pack", counting)
    async with site_of(FakeRole()) as site, site.client.get("/events") as one:
        await read_event(one.content)
        site.tick(0.0)
        await read_event(one.content)
        async with site.client.get("/events") as other:
            await read_event(other.content)
            packed.clear()
            for seconds in range(1, 4):
                site.tick(float(seconds))
                assert await read_event(one.content) == await read_event(other.content)
            assert len(packed) == 3


def test_a_part_of_the_compressed_events_needs_no_other() -> None:
    events_of = [f"data: {number}\n\n".encode() * 1000 for number in range(3)]
    parts = [events.pack(each) for each in events_of]
    for plain, packed in [*zip(events_of, parts, strict=True), (b"".join(events_of), b"".join(parts))]:
        assert zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(events.GZIP_HEAD + packed) == plain


async def test_a_watcher_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "WATCHERS", 1)
    async with site_of(FakeRole()) as site:
        async with site.client.get("/events") as stream:
            await read_event(stream.content)
            assert await site.get("/events") == (503, "1 pages are open already; close one\n")
        await until(lambda: site.admin.events.watchers == 0)
        async with site.client.get("/events") as stream:
            assert stream.status == 200


async def test_a_watcher_that_reads_nothing_is_cut_and_the_others_see_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SLOW_SECONDS", 0.1)
    role = FakeRole(links=[FakeLink(f"worker-{number}") for number in range(1000)])
    async with site_of(role) as site, site.client.get("/events") as stream:
        await read_event(stream.content)
        _, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: site.admin.events.watchers == 2)
        seconds = 0
        while site.admin.events.watchers == 2:
            seconds += 1
            site.tick(float(seconds))
            assert len((await read_event(stream.content))["links"]) == 1000
        writer.close()
        site.tick(float(seconds + 1))
        await read_event(stream.content)
