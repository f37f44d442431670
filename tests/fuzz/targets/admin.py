"""Admin: whatever a client sends to the admin server, and whether each answer is one."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from aiohttp import web
from tests.admin.roles import FakeInterruptions, FakeLink, FakeRole, FakeStore
from tests.fuzz.loop import Loop, LoopClock, Wire
from tests.fuzz.tape import Tape
from tests.store.streams import make_store, text

from randstream.admin.events import WATCHERS
from randstream.admin.numbers import CLIENTS
from randstream.admin.server import MOST_LINKS, AdminServer
from randstream.errors import Reason
from randstream.observe.interruptions import KEPT, Interruption
from randstream.observe.tap import Tap
from randstream.settings import Address

TOKEN: Final = "a-token-of-twenty-four-characters"
NAMES: Final = ("metrics.test", "*.apps.test")
OURS: Final = re.compile(
    rb"(?i)(?:localhost|metrics\.test|[^\s/]*\.apps\.test|%b)\.?|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-f:.]+(?:%%[^\]]+)?\]"
    % re.escape(socket.gethostname().encode())
)
ABSOLUTE: Final = re.compile(rb"(?i)[a-z][a-z0-9+.-]*://([^/?#]*)")
HEALTH: Final = ("/livez", "/readyz")
STORED: Final = 2000
LINKS: Final = 20
STATUS: Final = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3}) [ -~]*")
"""aiohttp reads a request of any version as one of its own, and repeats the version."""
HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~]*)")
STATUSES: Final = {200, 400, 401, 403, 404, 405, 409, 410, 421, 503}
ALWAYS: Final = ("cache-control", "x-content-type-options", "content-security-policy", "x-frame-options")
REQUEST_SECONDS: Final = 10.0


class Told(AdminServer):
    """Writes down each request that it is asked to answer."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.requests: list[web.BaseRequest] = []

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        return await super()._answer(request)


@dataclass
class Site:
    """A server, and the loop that it is on, which outlive an input."""

    loop: Loop
    role: FakeRole
    admin: Told
    folder: TemporaryDirectory[str]

    def tick(self) -> None:
        """A second's work of a running server, and a few numbers."""
        self.admin.observer.tick(self.loop.time())
        self.admin.events.tick()
        if self.role.tap is not None and self.role.tap.store is None:
            self.role.tap.pass_on(b"1\n2\n", 2)


@cache
def site(number: int) -> Site:
    """0: a producer; 1: the same with a token; 2: a worker that stores nothing, 3: one with a store."""
    folder = TemporaryDirectory()
    loop = Loop()
    clock = LoopClock(loop)
    interruptions = [Interruption(1000.0 + n, 0.5, Reason.CUT, None) for n in range(30)]
    links = [FakeLink(f"worker-{n}", interruptions=FakeInterruptions(interruptions)) for n in range(LINKS)]
    tap = Tap(FakeStore(make_store(Path(folder.name), 1000, STORED), STORED) if number == 3 else None)
    role = (
        FakeRole("worker", "worker-0", links=links[:1], clock=clock, tap=tap)
        if number > 1
        else FakeRole(links=links, clock=clock)
    )
    token = Path(folder.name, "token")
    token.write_text(TOKEN, encoding="ascii")
    token.chmod(0o600)
    with loop.running():
        admin = Told(role, Address("127.0.0.1", 0), names=NAMES, token_file=str(token) if number == 1 else None)
    return Site(loop, role, admin, folder)


@dataclass
class Reply:
    """An answer as it was on the wire."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool
    """Whether it has come to its end."""


def read_reply(data: bytes, is_head: bool, is_over: bool) -> tuple[Reply | None, bytes]:
    """The first of the answers in `data`, and the rest. `is_over`: the connection has ended."""
    if data.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
        data = data[25:]
    if not data:
        return None, b""
    head, blank, rest = data.partition(b"\r\n\r\n")
    assert blank, f"no end of the headers: {head[:200]!r}"
    first, *lines = head.split(b"\r\n")
    found = STATUS.fullmatch(first)
    assert found, first
    headers: dict[str, str] = {}
    for line in lines:
        header = HEADER.fullmatch(line)
        assert header, line
        name = header[1].decode().lower()
        assert name not in headers, f"two headers {name}"
        headers[name] = header[2].decode()
    for name in ALWAYS:
        assert name in headers, f"no {name}"
    status = int(found[1])
    if is_head:
        return Reply(status, headers, b"", is_whole=True), rest
    if headers.get("transfer-encoding") == "chunked":
        body, rest, is_whole = read_chunks(rest)
        return Reply(status, headers, body, is_whole), rest
    if "content-length" in headers:
        size = int(headers["content-length"])
        assert len(rest) >= size or is_over, "an answer is cut"
        return Reply(status, headers, rest[:size], is_whole=True), rest[size:]
    return Reply(status, headers, rest, is_whole=is_over), b""


def read_chunks(data: bytes) -> tuple[bytes, bytes, bool]:
    """The body, what follows it, and whether it has ended."""
    body = b""
    while data:
        size, line_end, data = data.partition(b"\r\n")
        assert line_end
        assert re.fullmatch(rb"[0-9a-f]+", size), size
        length = int(size, 16)
        assert data[length : length + 2] == b"\r\n"
        body += data[:length]
        data = data[length + 2 :]
        if not length:
            return body, data, True
    return body, b"", False


def judge_answers(site: Site, heard: bytes, *, is_deaf: bool, is_over: bool) -> None:
    """Every request has been answered in turn, and as the rules say."""
    requests = site.admin.requests
    for request in [*requests, None]:
        reply, heard = read_reply(heard, request is not None and request.method == "HEAD", is_over or is_deaf)
        if reply is None:
            assert request is None or is_over or is_deaf or request is not requests[0], "no answer at all"
            return
        if request is None:
            assert reply.status == 400, f"an answer that nobody asked for: {reply}"
        else:
            judge(site, request, reply)
    assert not heard, heard[:200]


def judge(site: Site, request: web.BaseRequest, reply: Reply) -> None:
    assert reply.status in STATUSES, reply
    is_open = reply.status in (200, 503) and request.path not in HEALTH
    if reply.status < 400 or is_open:
        assert request.method in ("GET", "HEAD")
    if is_open:
        hosts = [value for name, value in request.raw_headers if name.lower() == b"host"]
        assert len(hosts) == 1 or (not hosts and request.version < (1, 1)), hosts
        url = ABSOLUTE.match(request.raw_path.encode(errors="surrogateescape"))
        for host in (*hosts, *(url.groups() if url else ())):
            assert OURS.fullmatch(re.sub(rb":[0-9]*$", b"", host)), f"answers as {host!r}"
        if site is globals()["site"](1):
            given = [value for name, value in request.raw_headers if name.lower() == b"authorization"]
            assert len(given) == 1, given
            assert TOKEN.encode() in given[0] or given[0][:5].lower() == b"basic", given
        origins = [value for name, value in request.raw_headers if name.lower() == b"origin"]
        for origin in origins:
            assert hosts, "a page asks a server without a name"
            assert OURS.fullmatch(re.sub(rb":[0-9]*$", b"", origin.partition(b"://")[2])), (
                f"answers a page of {origin!r}"
            )
    if reply.status != 200:
        assert reply.headers["content-type"].startswith("text/plain")
        assert request.method == "HEAD" or reply.body.endswith(b"\n")
        assert reply.body.count(b"\n") <= 1, reply.body
        return
    body = reply.body
    if reply.headers.get("content-encoding") == "gzip" and request.method == "GET":
        accepted = ",".join(request.headers.getall("Accept-Encoding")).lower()
        assert "gzip" in accepted or "*" in accepted
        unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
        body = unpacking.decompress(body)
        assert unpacking.eof == reply.is_whole or request.path == "/events"  # which has no end
    if request.method == "GET" and reply.is_whole:
        judge_content(request, body, request.query)
    if request.path == "/numbers":
        judge_numbers(site, request, reply)


def judge_content(request: web.BaseRequest, body: bytes, query: Mapping[str, str]) -> None:
    if request.path == "/api/links":
        links, interruptions = query.get("limit", "1000"), query.get("interruptions", "10")
        assert re.fullmatch("[0-9]{1,5}", links)
        assert re.fullmatch("[0-9]{1,5}", interruptions)
        assert int(links) <= MOST_LINKS
        assert int(interruptions) <= KEPT
        assert query.keys() <= {"limit", "interruptions", "filter", "state", "sort"}
        assert len(set(query)) == len(query)
        told = json.loads(body)
        assert len(told["links"]) <= min(LINKS, int(links))
        wanted = query.get("filter", "").casefold()
        assert all(wanted in f"{link['worker']} {link['peer']}".casefold() for link in told["links"])
        assert all(len(link["interruptions"]["last"]) <= int(interruptions) for link in told["links"])
    elif request.path == "/api/stream":
        told = json.loads(body)
        assert query["name"] in (told["link"]["worker"], told["link"]["peer"])
        assert query.keys() == {"name"}
    elif request.path in HEALTH:
        assert body in (b"alive\n", b"ready\n")
    elif request.path == "/":
        assert body.startswith(b"<!doctype html>")


def judge_numbers(site: Site, request: web.BaseRequest, reply: Reply) -> None:
    asked = request.headers.get("Last-Event-ID", request.query.get("offset"))
    first = int(reply.headers["randstream-offset"])
    if asked is not None:
        assert first == int(asked) < 2**63
        assert site.role.tap is not None
        assert site.role.tap.store is not None
    if (
        asked is not None
        and first < STORED
        and request.method == "GET"
        and reply.headers["content-type"].startswith("text/pl")
    ):
        expected = text(first, STORED)
        assert reply.body[: len(expected)] == expected[: len(reply.body)]


def fuzz_admin(data: bytes) -> None:
    """The first byte says which server is asked and how; the rest is what a client sends."""
    tape = Tape(data)
    how = tape.byte()
    here = site(how % 4)
    size, is_deaf, ends = (0, 1, 7, 100)[how // 4 % 4], how // 16 % 8 == 7, how // 128
    try:
        play(here, tape.rest(), size, is_deaf=is_deaf, ends=bool(ends))
    except BaseException:
        site.cache_clear()  # what has failed may have left anything behind
        raise


def play(here: Site, said: bytes, size: int, *, is_deaf: bool, ends: bool) -> None:
    """One connection, from its beginning to its end."""
    loop, admin = here.loop, here.admin
    heard: list[bytes] = []
    admin.requests.clear()
    with loop.running():
        handler = admin.guard()
        wire = Wire(loop, handler, heard.append)
        wire.is_deaf = is_deaf
        handler.connection_made(wire)
        for part in (said[at : at + size] for at in range(0, len(said), size)) if size else [said]:
            wire.send(part)
            loop.turn_over()
        here.tick()
        loop.turn_over()
        loop.advance(0.2)
        assert admin.events.watchers <= WATCHERS
        assert admin.count_clients()["numbers"] <= CLIENTS
        is_endless = any(admin.count_clients().values())
        is_over = wire.is_closing()
        judge_answers(here, b"".join(heard), is_deaf=is_deaf, is_over=is_over)
        if ends and not is_over:
            wire.end()
            loop.turn_over()
            assert wire.is_closing()
        else:
            loop.advance(REQUEST_SECONDS + 0.5)
            assert wire.is_closing() or is_endless, "a client keeps its place for ever"
            here.tick()
            loop.turn_over()
        wire.lose(None)
        loop.turn_over()
        assert not admin.guard.connections
        assert not admin.guard.waiting
        assert not any(admin.count_clients().values())
        assert not asyncio.all_tasks(loop), "a task is left"
