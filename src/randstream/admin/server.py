"""Admin: the HTTP server beside a role, on the same loop: health, metrics, the live page. It only looks.

    /livez       the loop turns (200 even while draining)
    /readyz      200, or 503 and why not
    /metrics     for Prometheus
    /api/links   `Snapshot` as JSON; ?limit=1000&filter=worker-1&state=stalled,waiting&sort=rate&interruptions=10
    /api/stream  `StreamSnapshot` as JSON; ?name=worker-1
    /            the live page
    /events      the same JSON once a second, as server-sent events
    /numbers     a worker's numbers, see `numbers`

`docs/operations.md` documents them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from ..errors import SettingsError
from ..net.listening import listen, reachable
from ..observe.expiry import LOOK_SECONDS, Certificate, Expiry
from ..observe.interruptions import KEPT
from ..observe.status import ObservedRole
from ..observe.tally import Buckets
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..settings import Address
from ..settings.checks import shorten
from .events import Events
from .guard import BACKLOG, GuardedServer
from .hosts import Hosts
from .http import Refusal, finite, is_secure, text
from .metrics import Metrics
from .numbers import NumbersFeed
from .observer import Observer, to_json
from .page import PAGE
from .query import parameters, read_count, read_sort, read_states
from .secured import Secured, read_certificate
from .token import Token

TICK_SECONDS: Final = 1.0
USUAL_LINKS: Final = 1000
"""Links in an answer unless more are asked for: 3 ms of the loop's time."""
MOST_LINKS: Final = 10_000
HEALTH_PATHS: Final = ("/livez", "/readyz")
"""For probes, which call a process by any name they like."""
USUAL_INTERRUPTIONS: Final = 10
"""The last ones of each link. All that are kept, of a thousand links, would be 8 MB."""

log = structlog.get_logger("randstream")


class AdminServer:
    """Serves `role` on `listen`: `start` it, then `run` it for longer than the role, which may take time to drain.

    `names`: those by which clients may call it, besides the usual ones (`Hosts`). `token_file`: see `Token`.
    `certificate`: the files of a certificate and its key; with them, the server speaks only HTTPS.
    """

    def __init__(
        self,
        role: ObservedRole,
        listen: Address,
        *,
        names: Iterable[str] = (),
        token_file: str | None = None,
        certificate: tuple[str, str] | None = None,
    ) -> None:
        self.role = role
        self._listen = listen
        self._hosts = Hosts((listen.host, *names))
        self._token = None if token_file is None else Token(token_file, role.clock)
        self.observer = Observer(role)
        self._loop_lag = Buckets()
        self._lines = Throttle(LINES_A_MINUTE)
        self.guard = GuardedServer(
            self._answer, lambda transport: self._note_failure(transport, "the client speaks TLS to a plain HTTP port")
        )
        self._loaded = None if certificate is None else read_certificate(*certificate, role.clock)
        self._servers: list[asyncio.Server] = []
        self.events = Events(self.observer, self.guard)
        self._numbers = None if role.tap is None else NumbersFeed(role.tap, self.guard, role.clock)
        self._metrics = Metrics(role, self._loop_lag, self.count_clients, self.certificates)
        self._routes: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
            "/": self._page,
            "/events": self.events.serve,
            "/api/links": self._links,
            "/api/stream": self._stream,
            "/metrics": self._metrics_text,
            "/livez": self._livez,
            "/readyz": self._readyz,
        }
        if self._numbers is not None:
            self._routes["/numbers"] = self._numbers.serve

    async def start(self) -> tuple[str, int]:
        """Listen; return the address. Raises SettingsError if it cannot be bound."""
        loop = asyncio.get_running_loop()
        try:
            self._servers = await listen(
                lambda host, port: loop.create_server(self._make_protocol, host, port, backlog=BACKLOG), self._listen
            )
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)  # asyncio's own text is long
            raise SettingsError(f"cannot listen on {self._listen}: {why}; give another --admin HOST:PORT") from error
        host, port = self._servers[0].sockets[0].getsockname()[:2]
        log.info("admin.listening", url=f"{self._scheme}://{reachable(host, port)}/")
        return host, port

    @property
    def _scheme(self) -> str:
        return "http" if self._loaded is None else "https"

    def _make_protocol(self) -> asyncio.Protocol:
        handler = self.guard()
        return handler if self._loaded is None else Secured(handler, self._loaded.newest().context, self._note_failure)

    def _note_failure(self, transport: asyncio.BaseTransport | None, why: str) -> None:
        """Log a client that speaks TLS where the server does not, or the reverse, or whose handshake failed."""
        peername = transport and transport.get_extra_info("peername")
        self._lines.say(
            log.info, "admin.tls_failed", self.role.clock.now(), peer=peername[0] if peername else "unknown", error=why
        )

    async def run(self) -> None:
        """Look at the role once a second, and at its own certificate, until cancelled; then stop serving."""
        clock = self.role.clock
        due = look_due = clock.now()
        expiry = Expiry(clock)
        try:
            while True:
                now = clock.now()
                self._loop_lag.observe(max(0.0, now - due))
                self.observer.tick(now)
                self.events.tick()
                if now >= look_due:
                    expiry.look(self.certificates())
                    look_due = now + LOOK_SECONDS
                due = max(due + TICK_SECONDS, now)
                await asyncio.sleep(due - now)
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop serving. Idempotent."""
        if self._servers:
            for server in self._servers:
                server.close()
            self._servers = []
            await self.guard.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.guard.renew(request)
        try:
            return await self._route(request)
        except Refusal as refusal:
            return text(refusal.status, str(refusal), refusal.headers)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._loaded is not None and not is_secure(request):
            self._note_failure(request.transport, "the client speaks plain HTTP to an HTTPS port")
            raise Refusal(400, "this is plain HTTP, but the port speaks HTTPS; use https://")
        self._hosts.check_origin(request)
        if request.path not in HEALTH_PATHS:
            self._hosts.check_host(request)
            if self._token is not None:
                self._token.check(request)
        route = self._routes.get(request.path)
        if route is None:
            return text(404, f"there is no {request.path} here; try {', '.join(self._routes)}")
        if request.method not in ("GET", "HEAD"):
            return text(405, f"{request.method} is not allowed for {request.path}; use GET", {"Allow": "GET, HEAD"})
        return await route(request)

    async def _page(self, request: web.BaseRequest) -> web.StreamResponse:
        return finite(request, PAGE.body, PAGE.headers)

    def count_clients(self) -> dict[str, int]:
        """How many clients take endless answers, by answer."""
        return {"events": self.events.watchers, "numbers": 0 if self._numbers is None else self._numbers.clients}

    def certificates(self) -> list[Certificate]:
        """The one that ends the use of this server's own certificate, if it has any."""
        return [] if self._loaded is None else self._loaded.newest().certificates

    async def _livez(self, request: web.BaseRequest) -> web.StreamResponse:
        return text(200, "alive")

    async def _readyz(self, request: web.BaseRequest) -> web.StreamResponse:
        problem = self.role.problem
        return text(200, "ready") if problem is None else text(503, f"not ready: {problem}")

    async def _metrics_text(self, request: web.BaseRequest) -> web.StreamResponse:
        body, content_type = self._metrics.exposition(request.headers.get("Accept", ""))
        return finite(request, body, {"Content-Type": content_type})

    async def _links(self, request: web.BaseRequest) -> web.StreamResponse:
        query = parameters(request, "limit", "filter", "state", "sort", "interruptions")
        snapshot = self.observer.snapshot(
            limit=read_count(query, "limit", usual=USUAL_LINKS, most=MOST_LINKS),
            name_filter=query.get("filter", ""),
            states=read_states(query),
            sort=read_sort(query),
            interruptions=read_count(query, "interruptions", usual=USUAL_INTERRUPTIONS, most=KEPT),
        )
        return finite(request, to_json(snapshot), {"Content-Type": "application/json"})

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        name = parameters(request, "name").get("name", "")
        snapshot = self.observer.stream(name)
        if snapshot is None:
            what = f"no stream is called {shorten(name)}" if name else "name is missing"
            raise Refusal(404 if name else 400, f"{what}; give the worker or the peer of a link of /api/links")
        return finite(request, to_json(snapshot), {"Content-Type": "application/json"})


@asynccontextmanager
async def serve_admin(server: AdminServer) -> AsyncIterator[tuple[str, int]]:
    """Run `server` as long as the context lasts; yield its address. Raises SettingsError if it cannot be bound."""
    address = await server.start()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.run())
        yield address
        serving.cancel()
