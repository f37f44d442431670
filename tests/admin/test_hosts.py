"""Hosts: by which names the admin server may be called, and by which pages."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.admin.roles import FakeRole
from tests.admin.site import site_of, wait_cut

NAMES = ["page.example", "*.inside.example"]
REST = "Connection: close\r\n\r\n"


async def ask(port: int, request: str) -> tuple[int, str]:
    """The status and the whole text of the answer to `request`, to which only the empty line is added."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request}\r\n{REST}".encode())
    try:
        async with asyncio.timeout(10):  # no endless answer is expected here
            answer = (await wait_cut(reader)).decode()
    finally:
        writer.close()
    return int(answer.split()[1]), answer


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:9001", "10.1.2.3:80", "[::1]", "[::1]:9001", "[fe80::1%25eth0]:9001",
        "[::ffff:10.0.0.1]:1",
        "localhost", "localhost:9001", "LocalHost:9001", "localhost.", "localhost.:9001", "localhost:",
        socket.gethostname(), f"{socket.gethostname().upper()}.:9001",
        "page.example", "PAGE.example.:9001", "a.inside.example", "A.b.Inside.Example.:1",
    ],
)  # fmt: skip
async def test_an_address_and_a_name_of_ours_may_be_called(host: str) -> None:
    async with site_of(FakeRole(), names=NAMES) as site:
        assert (await ask(site.port, f"GET /api/links HTTP/1.1\r\nHost: {host}"))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:9001", "localhost.evil.example", "127.0.0.1.evil.example", "evil.localhost",
        "localhost..", "inside.example", "notinside.example", "page.example.evil.example", "xpage.example",
        "evil-127.0.0.1", "127.1", "0x7f.1",
        f"{socket.gethostname()}.evil.example", "1.2.3.4.5",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/events", "/api/links", "/api/stream", "/metrics", "/numbers", "/nothing"])
async def test_another_sites_name_is_misdirected(host: str, path: str) -> None:
    async with site_of(FakeRole(), names=NAMES) as site:
        status, answer = await ask(site.port, f"GET {path} HTTP/1.1\r\nHost: {host}")
        assert status == 421
        assert answer.endswith(f"does not know {host.partition(':')[0]} as its name; "
                               f"start it with --admin-host {host.partition(':')[0]}\n")  # fmt: skip


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "DELETE"])
async def test_another_sites_name_is_misdirected_whatever_the_method(method: str) -> None:
    async with site_of(FakeRole()) as site:
        assert (await ask(site.port, f"{method} / HTTP/1.1\r\nHost: evil.example"))[0] == 421


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET / HTTP/1.1", 400),
        ("GET / HTTP/1.0", 200),  # no browser leaves it out
        ("GET / HTTP/1.0\r\nHost: evil.example", 421),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost", 400),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example", 400),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\nHost: localhost", 400),
        ("GET / HTTP/1.1\r\nHost:", 400),
        ("GET / HTTP/1.1\r\nHost: [::1", 400),
        ("GET / HTTP/1.1\r\nHost: ::1", 400),
        ("GET / HTTP/1.1\r\nHost: [evil.example]", 421),
        ("GET / HTTP/1.1\r\nHost: localhost:port", 400),
        ("GET / HTTP/1.1\r\nHost: evil.example@localhost", 400),
        ("GET / HTTP/1.1\r\nHost: localhost, evil.example", 400),
        ("GET http://localhost/ HTTP/1.1\r\nHost: localhost", 200),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost", 421),
        ("GET HTTP://evil.example:80/ HTTP/1.1\r\nHost: localhost", 421),
        ("GET http://localhost/ HTTP/1.1\r\nHost: evil.example", 421),
        ("GET http://localhost@evil.example/ HTTP/1.1\r\nHost: localhost", 400),
        ("GET /?a=http://evil.example/ HTTP/1.1\r\nHost: localhost", 200),
    ],
)
async def test_a_request_says_once_whom_it_is_for(head: str, status: int) -> None:
    async with site_of(FakeRole()) as site:
        assert (await ask(site.port, head))[0] == status


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_probe_may_call_it_whatever_it_likes(path: str) -> None:
    async with site_of(FakeRole()) as site:
        assert (await ask(site.port, f"GET {path} HTTP/1.1\r\nHost: probe.example"))[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://localhost:9001"}, 200),
        ({"Origin": "HTTPS://LOCALHOST.:9001"}, 200),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "http://127.0.0.1:9001"}, 403),
        ({"Origin": "http://203.0.113.1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),  # a link
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
    ],
)
async def test_pages_of_other_sites_may_not_ask(headers: dict[str, str], status: int) -> None:
    async with site_of(FakeRole()) as site:
        for path in ("/", "/events", "/api/links", "/livez"):
            async with site.client.head(path, headers={"Host": "localhost:9001", **headers}) as answer:
                assert answer.status == status


@pytest.mark.parametrize(
    "head",
    [
        *(f"GET {path} HTTP/1.1\r\nHost: localhost" for path in ("/", "/api/links", "/metrics", "/livez", "/nothing")),
        "HEAD / HTTP/1.1\r\nHost: localhost", "POST / HTTP/1.1\r\nHost: localhost",
        "GET / HTTP/1.1\r\nHost: evil.example",
        "GET /api/links?limit=x HTTP/1.1\r\nHost: localhost", "GET / HTTP/1.1\r\nOrigin: null\r\nHost: localhost",
        f"GET /{'a' * 9000} HTTP/1.1\r\nHost: localhost", "no HTTP", "GET / HTTP/1.1",
    ],
)  # fmt: skip
async def test_no_answer_may_be_framed(head: str) -> None:
    async with site_of(FakeRole(), names=NAMES) as site:
        _, answer = await ask(site.port, head)
        headers, _, body = answer.partition("\r\n\r\n")
        assert "frame-ancestors 'none'" in headers
        assert "X-Frame-Options: DENY" in headers
        if not headers.startswith("HTTP/1.1 200"):
            assert body.count("\n") == (0 if head.startswith("HEAD") else 1)


async def test_a_failure_of_our_own_is_a_line_that_may_not_be_framed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site_of(FakeRole()) as site:
        monkeypatch.setattr(site.admin, "observer", None)
        status, answer = await ask(site.port, "GET /api/links HTTP/1.1\r\nAccept: text/html\r\nHost: localhost")
        assert status == 500
        assert "X-Frame-Options: DENY" in answer
        assert "<" not in answer.partition("\r\n\r\n")[2]
