"""Http: the few answers that all pages of the admin server share."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
"""On every answer: nothing may be cached, sniffed, or used or framed by another site."""

ENDLESS: Final = {**HEADERS, "X-Accel-Buffering": "no"}
"""On endless answers: makes nginx pass on every piece at once."""
LARGE_BYTES: Final = 4096
"""From this size on an answer is compressed, on a thread: compression would save a smaller one no packet."""
_CODING: Final = re.compile(r"\s*(gzip|x-gzip|\*)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?", re.IGNORECASE)


class Refusal(Exception):
    """The request cannot be answered: `status`, one line that says why and what to do, and extra `headers`."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def is_secure(request: web.BaseRequest) -> bool:
    """Whether it came over TLS. In older versions of aiohttp, a request for a whole URL sets its own `scheme`."""
    return request.get_extra_info("sslcontext") is not None


def text(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """One line of plain text; what cannot be printed of it, such as a line's end in a path, is escaped."""
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in message)
    return web.Response(status=status, text=f"{line}\n", headers={**HEADERS, **(headers or {})})


def finite(request: web.BaseRequest, body: bytes, headers: dict[str, str]) -> web.Response:
    """Answer with `body` and its `headers`, with gzip if the client takes it and it is worth it."""
    headers = {**HEADERS, "Vary": "Accept-Encoding", **headers}
    response = web.Response(body=body, headers=headers, zlib_executor_size=LARGE_BYTES)
    if len(body) > LARGE_BYTES and takes_gzip(request.headers.getall("Accept-Encoding", [])):
        response.enable_compression(web.ContentCoding.gzip)
    return response


def takes_gzip(accepted: list[str]) -> bool:
    """Whether `Accept-Encoding` allows gzip, by its name or else by `*` (RFC 9110, 12.5.3)."""
    weights = {
        found[1].lower(): float(found[2] or 1)
        for coding in ",".join(accepted).split(",")
        if (found := _CODING.fullmatch(coding))
    }
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0
