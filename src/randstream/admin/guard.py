"""Guard: aiohttp's server, made safe from clients that are many, slow or silent.

Every client gets REQUEST_SECONDS to ask and to take the answer, and there are PLACES; when all are taken, a newcomer
gets the place of the client that has waited longest. `release` exempts endless answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ..net.descriptors import tell_if_used_up
from ..settings.checks import shorten
from .http import text
from .secured import HANDSHAKE

REQUEST_SECONDS: Final = 10.0
"""For one request and its answer, from the connection or the last answer's end. Any honest network needs less."""
PLACES: Final = 100
"""Connections, 20 KB each, besides those released. A probe needs one, a browser six."""
BACKLOG: Final = 64
SHUTDOWN_SECONDS: Final = 0.5
"""At shutdown, for answers that are still being made."""

_SILENT: Final = logging.Logger("randstream.observe.guard", logging.CRITICAL + 1)
"""aiohttp logs a traceback for each request that is not HTTP. A client that sends them must not fill our log."""


class _Handler(web.RequestHandler):
    """One connection. A request that is not HTTP is answered like all others: in one line, with our headers. TLS to a
    plain port is answered so too: its clients recognise "HTTP/1.0 400" where a record should be.
    """

    _manager: GuardedServer
    _is_new = True

    def data_received(self, data: bytes) -> None:
        if self._is_new:
            self._is_new = False
            if data[0] == HANDSHAKE and self.ssl_context is None:
                self._manager.on_tls(self.transport)
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # raises if an answer has begun
        what = "this server failed, which is a bug" if status == 500 else "this is not an HTTP request"
        answer = text(status, f"{what}: {shorten((message or str(exc)).partition(chr(10))[0])}")
        answer.force_close()
        return answer


class GuardedServer(web.Server):
    """Pass it to `loop.create_server`. `answer` is cancelled when its client goes away; `on_tls` is called when a
    client speaks TLS to a plain port.
    """

    def __init__(
        self,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        on_tls: Callable[[asyncio.BaseTransport | None], None],
    ) -> None:
        super().__init__(
            answer, handler_cancellation=True, access_log=None, logger=_SILENT,
            keepalive_timeout=REQUEST_SECONDS, lingering_time=0,
        )  # fmt: skip
        self.on_tls = on_tls
        self._limits: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=asyncio.get_running_loop(), **self._kwargs)

    @property
    def waiting(self) -> int:
        """How many connections have a running time limit."""
        return len(self._limits)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        tell_if_used_up()
        if len(self._limits) >= PLACES:
            self._end(next(iter(self._limits)))
        self._start_limit(handler)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        super().connection_lost(handler, exc)
        self._stop_limit(handler)

    def end(self, request: web.BaseRequest) -> None:
        self._end(request.protocol)

    def renew(self, request: web.BaseRequest) -> None:
        """A request has come: the time for its answer starts."""
        self._stop_limit(request.protocol)
        self._start_limit(request.protocol)

    def release(self, request: web.BaseRequest) -> None:
        """The answer to `request` is endless; its writer watches the client."""
        self._stop_limit(request.protocol)

    async def close(self) -> None:
        """End every connection; answers already made still go out."""
        for handler in self.connections:
            if handler.transport is not None:
                handler.transport.close()
        await self.shutdown(SHUTDOWN_SECONDS)

    def _start_limit(self, handler: web.RequestHandler) -> None:
        self._limits[handler] = asyncio.get_running_loop().call_later(REQUEST_SECONDS, self._end, handler)

    def _stop_limit(self, handler: web.RequestHandler) -> None:
        if handler in self._limits:
            self._limits.pop(handler).cancel()

    def _end(self, handler: web.RequestHandler) -> None:
        self._stop_limit(handler)
        if handler.transport is not None:
            handler.transport.abort()
