"""Admin: the HTTP server beside a role, on the same loop: health, metrics, the live page. It only looks.

    /livez       the loop turns (200 even while draining)
    /readyz      200, or 503 and why not
    /metrics     for Prometheus
    /api/links   `Snapshot` as JSON; ?limit=1000&filter=worker-1
    /            the live page
    /events      the same JSON once a second, as server-sent events
    /numbers     a worker's numbers, see `tap`
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

import structlog
from aiohttp import web

from ..errors import SettingsError
from ..settings import Address
from .guard import BACKLOG, GuardedServer
from .metrics import Metrics
from .observer import Observer, to_json
from .status import ObservedRole
from .tally import Buckets

TICK_SECONDS: Final = 1.0
USUAL_LINKS: Final = 1000
"""Links in an answer unless it is asked for more: 3 ms of the loop's time."""
MOST_LINKS: Final = 10_000
SHUTDOWN_SECONDS: Final = 0.5
"""For answers under way when the server ends. Those without an end are cut."""

HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

log = structlog.get_logger("randstream")


class AdminServer:
    """Serves `role` on `listen`: `start` it, then `run` it beside the role and, to stay alive while draining, longer."""

    def __init__(self, role: ObservedRole, listen: Address) -> None:
        self.role = role
        self._listen = listen
        self._observer = Observer(role)
        self._loop_lag = Buckets()
        self._clients: Counter[str] = Counter()
        self._metrics = Metrics(role, self._loop_lag, self._clients)
        self._guard = GuardedServer(self._answer)
        self._server: asyncio.Server | None = None
        self._routes: dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]] = {
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/metrics": self._metrics_text,
            "/api/links": self._links,
        }

    async def start(self) -> tuple[str, int]:
        """Listen; the address that it is. Raises SettingsError if it cannot be bound."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                self._guard, self._listen.host, self._listen.port, backlog=BACKLOG
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {self._listen}: {error.strerror or error}; give another --admin HOST:PORT"
            ) from error
        host, port = self._server.sockets[0].getsockname()[:2]
        log.info("admin.listening", url=f"http://{host}:{port}/")
        return host, port

    async def run(self) -> None:
        """Look at the role once a second, until cancelled; then stop serving."""
        due = monotonic()
        try:
            while True:
                now = monotonic()
                self._loop_lag.observe(max(0.0, now - due))
                self._observer.tick(now)
                due = max(due + TICK_SECONDS, now)
                await asyncio.sleep(due - now)
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop serving. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
            await self._guard.shutdown(SHUTDOWN_SECONDS)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._guard.renew(request)
        route = self._routes.get(request.path)
        if route is None:
            return text(404, f"there is no {request.path} here; try {', '.join(self._routes)}")
        if request.method not in ("GET", "HEAD"):
            return text(405, f"{request.method} is not for {request.path}; use GET", {"Allow": "GET, HEAD"})
        try:
            return await route(request)
        except BadRequest as error:
            return text(400, str(error))

    async def _livez(self, request: web.BaseRequest) -> web.StreamResponse:
        return text(200, "alive")

    async def _readyz(self, request: web.BaseRequest) -> web.StreamResponse:
        problem = self.role.problem
        return text(200, "ready") if problem is None else text(503, f"not ready: {problem}")

    async def _metrics_text(self, request: web.BaseRequest) -> web.StreamResponse:
        body, content_type = self._metrics.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={**HEADERS, "Content-Type": content_type})

    async def _links(self, request: web.BaseRequest) -> web.StreamResponse:
        query = parameters(request, "limit", "filter")
        limit = query.get("limit", str(USUAL_LINKS))
        if not (limit.isascii() and limit.isdigit() and int(limit) <= MOST_LINKS):
            raise BadRequest(f"limit={limit} is no whole number from 0 to {MOST_LINKS}")
        body = to_json(self._observer.snapshot(limit=int(limit), name_filter=query.get("filter", "")))
        return web.Response(body=body, headers={**HEADERS, "Content-Type": "application/json"})


class BadRequest(Exception):  # noqa: N818 (it is what HTTP calls it)
    """The request cannot be answered, for the reason of the message."""


def parameters(request: web.BaseRequest, *known: str) -> dict[str, str]:
    """The query's parameters. Raises BadRequest if one is unknown or repeated."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            raise BadRequest(f"{name!r} is no parameter of {request.path}; it takes {', '.join(known)}")
        if name in found:
            raise BadRequest(f"{name!r} is given twice")
        found[name] = value
    return found


def text(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """One line of plain text."""
    return web.Response(status=status, text=f"{message}\n", headers={**HEADERS, **(headers or {})})
