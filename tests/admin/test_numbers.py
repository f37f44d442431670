"""Numbers: a worker's numbers over HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.admin.roles import FakeStore, a_fake_worker
from tests.admin.site import Site, site_of, wait_cut
from tests.store.streams import COUNT, STREAM, make_store, text
from tests.support.log import Log
from tests.support.roles import a_pair
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.admin import numbers
from randstream.admin.follower import POLL_SECONDS
from randstream.admin.numbers import CLIENTS, PIECE_BYTES, as_event
from randstream.observe.throttle import LINES_A_MINUTE
from randstream.protocol.runs import Run

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def stored(tmp_path: Path) -> FakeStore:
    """A store of COUNT numbers in several segments, all of them committed."""
    return FakeStore(make_store(tmp_path, 1000, 5000, COUNT, segment_bytes=4000), COUNT)


@pytest.mark.parametrize("offset", [0, 1, 999, 1000, 4321, COUNT - 1])
async def test_stored_numbers_come_from_any_offset_on(stored: FakeStore, offset: int) -> None:
    async with site_of(a_fake_worker(stored)) as site, site.client.get(f"/numbers?offset={offset}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; charset=us-ascii"
        assert answer.headers["Randstream-Offset"] == str(offset)
        expected = text(offset, COUNT)
        assert await answer.content.readexactly(len(expected)) == expected


async def test_without_an_offset_only_numbers_stored_from_now_on_are_sent(tmp_path: Path) -> None:
    store = FakeStore(make_store(tmp_path, 1000), 1000)
    async with site_of(a_fake_worker(store)) as site, site.client.get("/numbers") as answer:
        assert answer.headers["Randstream-Offset"] == "1000"
        make_store(tmp_path, 1500)
        store.committed_offset = 1500
        assert await answer.content.readexactly(len(text(1000, 1500))) == text(1000, 1500)


async def test_the_answer_is_cut_when_the_worker_goes_on_to_another_stream(stored: FakeStore) -> None:
    async with site_of(a_fake_worker(stored)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(f"GET /numbers?offset={COUNT} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        stored.path = Path("elsewhere")
        assert not (await wait_cut(reader)).endswith(b"0\r\n\r\n")  # not a regular end
        writer.close()


async def test_the_id_of_an_event_is_the_offset_to_resume_at(stored: FakeStore) -> None:
    accept = {"Accept": "text/event-stream"}
    async with site_of(a_fake_worker(stored)) as site:
        async with site.client.get("/numbers?offset=995", headers=accept) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            event = await answer.content.readuntil(b"\n\n")
        assert event.startswith(b"id: 1000\ndata: ")
        assert event.replace(b"id: 1000\n", b"").replace(b"data: ", b"")[:-1] == text(995, 1000)
        # `Last-Event-ID` takes precedence over the query, which a browser sends again unchanged.
        again = {**accept, "Last-Event-ID": "1000"}
        async with site.client.get("/numbers?offset=995", headers=again) as answer:
            event = await answer.content.readuntil(b"\n\n")
            assert event.split(b"\n")[1] == b"data: " + text(1000, 1001)[:-1]


async def test_without_a_store_numbers_start_with_the_next_one() -> None:
    role = a_fake_worker(None)
    assert role.tap is not None
    role.tap.offset = 100
    role.tap.pass_on(text(100, 200), 100)
    async with site_of(role) as site, site.client.get("/numbers") as answer:
        assert answer.headers["Randstream-Offset"] == "200"
        role.tap.pass_on(text(200, 205), 5)
        role.tap.pass_on(text(205, 300), 95)
        assert await answer.content.readexactly(len(text(200, 300))) == text(200, 300)


@pytest.mark.parametrize(
    ("query", "headers", "status", "message"),
    [
        ("offset=x", {}, 400, "offset 'x' is not an offset; give a whole number from 0 to 2^63 - 1"),
        ("offset=-1", {}, 400, "offset '-1' is not an offset"),
        ("offset=007", {}, 400, "offset '007' is not an offset"),
        (f"offset={2**63}", {}, 400, "is not an offset"),
        ("offset=", {}, 400, "offset '' is not an offset"),
        ("ofset=1", {}, 400, "'ofset' is not a parameter of /numbers; it takes offset"),
        ("offset=1&offset=2", {}, 400, "'offset' is given twice"),
        ("", {"Last-Event-ID": "one"}, 400, "Last-Event-ID 'one' is not an offset"),
        ("offset=5", {}, 409, "this worker stores nothing"),
    ],
)
async def test_requests_that_cannot_be_answered_are_refused(
    query: str, headers: dict[str, str], status: int, message: str
) -> None:
    async with site_of(a_fake_worker(None)) as site:
        refused, said = await site.get(f"/numbers?{query}", headers=headers)
        assert refused == status
        assert message in said
        assert site.admin.count_clients()["numbers"] == 0


async def test_before_a_stream_is_open_clients_are_told_to_try_again() -> None:
    async with site_of(a_fake_worker(FakeStore(None, None))) as site:
        assert (await site.get("/numbers?offset=0"))[0] == 503


async def test_offsets_that_retention_removed_are_gone(tmp_path: Path) -> None:
    store = FakeStore(make_store(tmp_path, 1000, 5000, 9000, segment_bytes=4000, retain_bytes=4000), 9000)
    async with site_of(a_fake_worker(store)) as site:
        status, said = await site.get("/numbers?offset=0")
        assert status == 410
        assert "keeps no offset 0" in said


async def test_a_store_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    store = FakeStore(make_store(tmp_path, 1000), 1000)
    assert store.path
    next(store.path.glob("*.numbers")).write_bytes(b"no header")
    async with site_of(a_fake_worker(store)) as site:
        assert (await site.get("/numbers?offset=0"))[0] == 500


async def test_clients_that_are_cut_repeatedly_do_not_fill_the_log(stored: FakeStore, log: Log) -> None:
    path = stored.path
    async with site_of(a_fake_worker(stored)) as site:
        for _ in range(LINES_A_MINUTE + 3):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            stored.path = path
            writer.write(f"GET /numbers?offset={COUNT} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            stored.path = Path("elsewhere")
            await wait_cut(reader)
            writer.close()
    assert len(log.of("tap.cut")) == LINES_A_MINUTE


async def test_a_client_above_the_limit_is_refused(stored: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "CLIENTS", 1)
    async with site_of(a_fake_worker(stored)) as site:
        async with site.client.get("/numbers?offset=0") as answer:
            await answer.content.readany()
            assert (await site.get("/numbers"))[0] == 503
        await until(lambda: site.admin.count_clients()["numbers"] == 0)


async def test_a_client_that_reads_nothing_is_cut(stored: FakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "SLOW_SECONDS", 0.05)
    monkeypatch.setattr(Run, "pieces", lambda run, size: iter([run] * 200))  # 100 MB: more than sockets hold
    async with site_of(a_fake_worker(stored)) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1)
        writer.write(b"GET /numbers?offset=5000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: site.admin.count_clients()["numbers"] == 1)
        await until(lambda: site.admin.count_clients()["numbers"] == 0)
        writer.close()


def test_a_large_run_is_written_in_parts_of_whole_lines() -> None:
    parts = list(Run(5, text(5, COUNT), COUNT - 5).pieces(PIECE_BYTES))
    assert len(parts) > 5
    assert all(part.lines.endswith(b"\n") and len(part.lines) <= PIECE_BYTES + 64 for part in parts)
    assert b"".join(part.lines for part in parts) == text(5, COUNT)
    assert [part.offset for part in parts[1:]] == [part.offset + part.count for part in parts[:-1]]


def test_an_event_has_a_data_line_for_each_number() -> None:
    assert as_event(Run(10, STREAM.lines(10, 2), 2)) == b"id: 12\ndata: %b\ndata: %b\n\n" % tuple(
        STREAM.lines(10, 2).split()
    )


async def test_the_numbers_of_a_durable_worker_can_be_read_while_they_arrive(tmp_path: Path) -> None:
    async with a_pair(store=tmp_path) as (_, worker), site_of(worker) as site:
        async with site.client.get("/numbers?offset=7") as answer:
            expected = stream().lines(7, 200)
            assert await answer.content.readexactly(len(expected)) == expected
        await until(lambda: site.admin.count_clients()["numbers"] == 0)


async def test_a_client_gets_the_stream_from_the_offset_in_the_header_on() -> None:
    async with a_pair(discard=True) as (_, worker), site_of(worker) as site:
        async with site.client.get("/numbers") as answer:
            first = int(answer.headers["Randstream-Offset"])
            expected = stream().lines(first, 100)
            assert await answer.content.readexactly(len(expected)) == expected
        await until(lambda: site.admin.count_clients()["numbers"] == 0)


@pytest.mark.parametrize("query", ["", "?offset=0", "?offset=1000", f"?offset={2**63 - 1}"])
@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_head_gives_the_headers_and_ends(stored: FakeStore, query: str, accept: str) -> None:
    async with site_of(a_fake_worker(stored)) as site:
        for _ in range(CLIENTS + 1):
            async with site.client.head(f"/numbers{query}", headers={"Accept": accept}) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
                assert answer.headers["Randstream-Offset"] == (query.partition("=")[2] or str(COUNT))
        assert site.admin.count_clients()["numbers"] == 0
        assert len(site.admin.guard.connections) == 1  # they all came over one connection, with nothing between them


@pytest.mark.parametrize(("store", "status"), [(None, 409), (FakeStore(None, None), 503)])
async def test_head_is_refused_as_get_is(store: FakeStore | None, status: int) -> None:
    async with site_of(a_fake_worker(store)) as site, site.client.head("/numbers?offset=5") as answer:
        assert (answer.status, await answer.read()) == (status, b"")


@asynccontextmanager
async def clients_of(site: Site, path: str) -> AsyncIterator[list[aiohttp.ClientResponse]]:
    """As many as there are places."""
    async with AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(site.client.get(path)) for _ in range(CLIENTS)]
        await until(lambda: all(math.isfinite(each) or each < 0 for each in waits_of(site)))
        yield answers


def waits_of(site: Site) -> list[float]:
    feed = site.admin._numbers
    assert feed is not None
    return [client.waits_since for client in feed._clients]


@pytest.mark.parametrize("offset", [COUNT + 1, 2**63 - 1])
async def test_who_waits_for_a_far_offset_gives_its_place_to_who_can_be_served(stored: FakeStore, offset: int) -> None:
    path = f"/numbers?offset={offset}"
    async with site_of(a_fake_worker(stored)) as site, clients_of(site, path) as waiting, AsyncExitStack() as stack:
        for _ in range(CLIENTS):
            answer = await stack.enter_async_context(site.client.get("/numbers?offset=0"))
            assert await answer.content.readexactly(len(text(0, 10))) == text(0, 10)
            assert site.admin.count_clients()["numbers"] == CLIENTS
        await until(lambda: all(each.content.exception() is not None for each in waiting))
        assert (await site.get("/numbers?offset=0"))[0] == 503


async def test_who_waits_for_the_next_number_keeps_its_place_for_a_while(
    stored: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site_of(a_fake_worker(stored)) as site, clients_of(site, "/numbers") as waiting:
        assert (await site.get("/numbers?offset=0"))[0] == 503
        monkeypatch.setattr(numbers, "PATIENT_SECONDS", 0.0)
        async with site.client.get("/numbers?offset=0") as answer:
            assert await answer.content.readexactly(len(text(0, 10))) == text(0, 10)
        await until(lambda: sum(each.content.exception() is not None for each in waiting) == 1)


async def test_without_a_store_too_who_gets_no_numbers_gives_its_place_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "PATIENT_SECONDS", 0.0)
    role = a_fake_worker(None)
    assert role.tap is not None
    async with site_of(role) as site, clients_of(site, "/numbers"), site.client.get("/numbers") as answer:
        role.tap.pass_on(text(0, 10), 10)
        assert await answer.content.readexactly(len(text(0, 10))) == text(0, 10)


@pytest.mark.parametrize("has_store", [True, False])
async def test_who_waits_for_events_hears_a_comment_at_once_and_each_few_seconds(
    stored: FakeStore, monkeypatch: pytest.MonkeyPatch, has_store: bool
) -> None:
    monkeypatch.setattr(numbers, "WORD_SECONDS", 60.0)
    role = a_fake_worker(stored if has_store else None)
    async with site_of(role) as site:
        async with site.client.get("/numbers", headers=EVENTS) as answer:
            assert await answer.content.readuntil(b"\n\n") == b": no numbers yet\n\n"
        monkeypatch.setattr(numbers, "WORD_SECONDS", POLL_SECONDS)
        async with site.client.get("/numbers", headers=EVENTS) as answer:
            for _ in range(3):
                assert await answer.content.readuntil(b"\n\n") == b": no numbers yet\n\n"


@pytest.mark.parametrize("has_store", [True, False])
async def test_who_waits_for_lines_gets_empty_ones_between_numbers(
    stored: FakeStore, monkeypatch: pytest.MonkeyPatch, has_store: bool
) -> None:
    monkeypatch.setattr(numbers, "WORD_SECONDS", POLL_SECONDS)
    role = a_fake_worker(stored if has_store else None)
    assert role.tap is not None
    stored.committed_offset = 1000
    async with site_of(role) as site, site.client.get("/numbers") as answer:
        assert await answer.content.readexactly(2) == b"\n\n"
        role.tap.pass_on(text(1000, 1100), 100)
        stored.committed_offset = 1100
        heard = b""
        while len(heard) < len(text(1000, 1100)):
            heard += (await answer.content.readline()).lstrip(b"\n")
        assert heard == text(1000, 1100)


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
async def test_proxies_are_told_to_pass_numbers_on_at_once(stored: FakeStore, accept: str) -> None:
    async with (
        site_of(a_fake_worker(stored)) as site,
        site.client.get("/numbers", headers={"Accept": accept}) as answer,
    ):
        assert answer.headers["X-Accel-Buffering"] == "no"
