"""Server: its pages, what it refuses, and how it starts and ends."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys

import aiohttp
import pytest
from tests.admin.roles import ROLE_NAMES, FakeLink, FakeRole, RoleName
from tests.admin.site import site_of
from tests.support.log import Log
from tests.support.roles import a_pair
from tests.support.waiting import until
from yarl import URL

from randstream.admin.server import MOST_LINKS, AdminServer, serve_admin
from randstream.errors import Reason, SettingsError
from randstream.observe.status import LinkState
from randstream.producer.producer import Producer
from randstream.settings import Address, ProducerSettings, WorkerSettings
from randstream.settings.addresses import check_address
from randstream.worker.worker import Worker


async def test_livez_is_200_even_if_the_role_is_not_ready() -> None:
    async with site_of(FakeRole(problem="draining")) as site:
        assert await site.get("/livez") == (200, "alive\n")


async def test_readyz_follows_the_role_and_says_why_not() -> None:
    role = FakeRole()
    async with site_of(role) as site:
        assert await site.get("/readyz") == (200, "ready\n")
        role.problem = "cannot write: the disk is full"
        assert await site.get("/readyz") == (503, "not ready: cannot write: the disk is full\n")


@pytest.mark.parametrize(("query", "kept"), [("", 10), ("?interruptions=0", 0), ("?interruptions=100", 100)])
async def test_links_have_as_many_of_their_last_interruptions_as_are_asked_for(query: str, kept: int) -> None:
    role = FakeRole()
    link = role.links[0].interruptions
    for number in range(150):
        link.proved(2.0 * number, None)
        link.lost(Reason.CUT, 2.0 * number + 1.5)
    async with site_of(role) as site:
        _, body = await site.get(f"/api/links{query}")
        told = json.loads(body)["links"][0]["interruptions"]
    assert (told["count"], len(told["last"])) == (149, kept)
    assert told["current"]["cause"] == "cut"
    if kept:
        newest = told["last"][-1]
        assert (newest["cause"], newest["seconds"], newest["unnoticed"]) == ("cut", 0.5, 0.0)


async def test_links_are_json_and_may_be_limited_and_filtered() -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}", f"10.0.0.{number}:9000") for number in range(30)])
    async with site_of(role) as site:
        status, body = await site.get("/api/links?limit=2&filter=worker-1")
        found = json.loads(body)
        assert status == 200
        assert [link["worker"] for link in found["links"]] == ["worker-1", "worker-10"]
        assert found["left_out"] == 9


async def test_a_stream_is_told_with_its_history_its_settings_and_its_own_events() -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}", f"10.0.0.{number}:9000") for number in (1, 10)])
    role.journal.note("link.stalled", "worker-1", "the disk is full")
    role.journal.note("link.stalled", "worker-10", "the disk is full")
    role.journal.note("link.unreachable", "10.0.0.1:9000", "refused")
    async with site_of(role) as site:
        for second in range(90):
            role.advance(40)
            site.tick(second - 90 + role.clock.now())
        found = json.loads((await site.get("/api/stream?name=worker-1"))[1])
        same = json.loads((await site.get("/api/stream?name=10.0.0.1%3A9000"))[1])
    assert (found["role"], found["name"]) == ("producer", "producer-0")
    assert (found["numbers"], found["rate"], found["heartbeat"]) == ("integers:1:100", 40.0, 1.0)
    assert (found["link"]["worker"], same["link"]["worker"]) == ("worker-1", "worker-1")
    assert [entry["link"] for entry in found["events"]] == ["worker-1", "10.0.0.1:9000"]
    minutes = found["history"]["minutes"]
    assert minutes["rate"]["highest"] == pytest.approx([40] * len(minutes["rate"]["mean"]), rel=0.01)
    assert 0 <= found["time"] - minutes["start"] - 90 < 70


async def test_a_link_that_rests_goes_by_its_peer_and_any_name_can_be_asked_for() -> None:
    odd = "<wörker> 1/2&3%"
    links = [FakeLink("worker-1", "b:1", state=LinkState.RESTING), FakeLink("worker-1", "b:2"), FakeLink(odd, "b:3")]
    async with site_of(FakeRole(links=links, rate=float("inf"))) as site:
        for name, peer in (("worker-1", "b:2"), ("b:1", "b:1"), (odd, "b:3")):
            async with site.client.get("/api/stream", params={"name": name}) as answer:
                found = json.loads(await answer.text())
                assert answer.headers["Content-Type"] == "application/json"
                assert answer.headers["Cache-Control"] == "no-store"
            assert found["link"]["peer"] == peer
            assert (found["rate"], found["history"]) == ("max", None)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/nothing", 404, "there is no /nothing here; try /,"),
        ("/numbers", 404, "there is no /numbers here"),
        ("/api/links?limit=all", 400, "limit=all is not a whole number"),
        ("/api/links?interruptions=all", 400, "interruptions=all is not a whole number"),
        ("/api/links?interruptions=101", 400, "from 0 to 100"),
        ("/api/links?limit=-1", 400, "limit=-1 is not a whole number"),
        (f"/api/links?limit={MOST_LINKS + 1}", 400, f"from 0 to {MOST_LINKS}"),
        (f"/api/links?limit={'9' * 5000}", 400, f"from 0 to {MOST_LINKS}"),
        ("/api/links?limt=1", 400, "'limt' is not a parameter of /api/links; it takes limit, filter"),
        ("/api/stream", 400, "name is missing; give the worker or the peer of a link of /api/links"),
        ("/api/stream?name=", 400, "name is missing"),
        ("/api/stream?name=worker", 404, "no stream is called worker; give the worker or the peer of a link"),
        ("/api/stream?name=Worker-0", 404, "no stream is called Worker-0;"),
        ("/api/stream?name=worker-0%0A", 404, r"no stream is called 'worker-0\n';"),
        (f"/api/stream?name={'x' * 5000}", 404, "no stream is called xxx"),
        ("/api/stream?name=worker-0&name=worker-1", 400, "'name' is given twice"),
        ("/api/stream?filter=worker-0", 400, "'filter' is not a parameter of /api/stream; it takes name"),
    ],
)
async def test_requests_that_cannot_be_answered_are_refused_in_one_line(path: str, status: int, message: str) -> None:
    async with site_of(FakeRole()) as site:
        refused, text = await site.get(path)
        assert refused == status
        assert message in text
        assert text.count("\n") == 1


@pytest.mark.parametrize("path", ["/", "/livez", "/api/links", "/api/stream", "/events"])
async def test_only_reading_is_allowed(path: str) -> None:
    async with site_of(FakeRole()) as site, site.client.post(path, data=b"x") as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["/", "/events", "/api/links", "/api/stream?name=worker-0", "/metrics", "/livez", "/readyz", "/nothing"],
)
async def test_head_gives_what_get_does_without_a_body_and_ends(path: str) -> None:
    async with site_of(FakeRole(problem="draining")) as site:
        async with site.client.get(path) as expected:
            pass
        for _ in range(2):  # a body after the first would be taken for the second's answer
            async with site.client.head(path) as answer:
                assert (answer.status, await answer.read()) == (expected.status, b"")
                assert answer.headers["Content-Type"] == expected.headers["Content-Type"]
        await until(lambda: site.admin.events.watchers == 0)


async def test_metrics_are_what_the_scraper_accepts() -> None:
    async with site_of(FakeRole()) as site:
        async with site.client.get("/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        async with site.client.get("/metrics", headers=accept) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            assert (await answer.text()).endswith("# EOF\n")


@pytest.mark.parametrize("version", ["x", "1.x", "1.0.0.x", "", ".", "9.9.9", "1.0.0;version=x", "1_0"])
@pytest.mark.parametrize("kind", ["application/openmetrics-text", "text/plain"])
async def test_metrics_of_a_version_that_nobody_speaks_are_the_usual_ones(kind: str, version: str) -> None:
    async with site_of(FakeRole()) as site:
        accept = {"Accept": f"{kind};version={version},*/*"}
        async with site.client.get("/metrics", headers=accept) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        accept = {"Accept": f"{kind}; version={version} ;q=0.9, application/openmetrics-text; version=1.0.0 ;q=0.5"}
        async with site.client.get("/metrics", headers=accept) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0;")


@pytest.mark.parametrize(
    ("path", "shown"),
    [("%0d%0aX:%20y", r"there is no /\r\nX: y here;"), ("%00%1b", r"no /\x00\x1b here;"), ("%C3%A9", "no /é here")],
)
async def test_what_an_answer_repeats_of_a_request_is_one_line_that_can_be_printed(path: str, shown: str) -> None:
    async with site_of(FakeRole()) as site:
        status, body = await site.get(URL(f"/{path}", encoded=True))
        assert status == 404
        assert shown in body
        assert body.removesuffix("\n").isprintable()


async def test_a_port_in_use_is_a_settings_error_that_names_the_flag() -> None:
    async with site_of(FakeRole()) as site:
        with pytest.raises(
            SettingsError, match=r"^cannot listen on 127.0.0.1:\d+: Address already in use; give another"
        ):
            await AdminServer(FakeRole(), Address("127.0.0.1", site.port)).start()


def test_a_process_whose_admin_port_is_taken_ends_with_2_and_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "randstream", "worker", "--listen", "127.0.0.1:0", "--discard", "--admin", address,
             "--log-level", "error"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 2
    assert (
        ended.stderr
        == f"randstream: cannot listen on {address}: Address already in use; give another --admin HOST:PORT\n"
    )


async def test_a_running_server_answers_at_once_and_stops_listening_at_the_end() -> None:
    role = FakeRole()
    async with serve_admin(AdminServer(role, Address("127.0.0.1", 0))) as (host, port):
        url = f"http://{host}:{port}"
        async with aiohttp.ClientSession(url) as client, client.get("/events") as events:
            assert (await events.content.readline()) == b"retry: 1000\n"
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await asyncio.open_connection(host, port)


async def test_input_that_is_not_http_is_refused_without_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async with site_of(FakeRole()) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(b"#hello randstream/1 worker=worker-0\n\n\x00\xff\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.0 400")
        writer.close()
        assert (await site.get("/livez"))[0] == 200
    assert caplog.records == []


async def test_readiness_goes_first_and_liveness_last() -> None:
    async with a_pair(discard=True) as (producer, worker):
        for role in (producer, worker):
            async with site_of(role) as site:
                assert (await site.get("/readyz"))[0] == 200
                role.stop()
                assert role.problem is not None
                assert (await site.get("/readyz"))[0] == 503
                assert (await site.get("/livez"))[0] == 200


@pytest.mark.parametrize("role", ROLE_NAMES)
async def test_the_json_of_a_role_that_has_done_nothing_is_complete(role: RoleName) -> None:
    one: Producer | Worker = (
        Producer(ProducerSettings(workers="127.0.0.1:1", seed="42"))
        if role == "producer"
        else Worker(WorkerSettings(listen="127.0.0.1:0", discard=True))
    )
    async with site_of(one) as site:
        found = json.loads((await site.get("/api/links"))[1])
        assert (found["role"], found["problem"] is None) == (role, False)
        assert (await site.get(f"/api/stream?name={found['name']}"))[0] == (200 if role == "worker" else 404)
        assert (await site.get("/metrics"))[0] == 200


@pytest.mark.parametrize(("host", "shown"), [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("[::1]", "[::1]")])
async def test_the_url_that_is_logged_works(host: str, shown: str, log: Log) -> None:
    async with serve_admin(AdminServer(FakeRole(), check_address(f"{host}:0"))) as (_, port):
        (listening,) = log.of("admin.listening")
        assert listening["url"] == f"http://{shown}:{port}/"
        async with aiohttp.ClientSession() as client, client.get(f"{listening['url']}livez") as answer:
            assert answer.status == 200
