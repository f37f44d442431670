"""Http: the few answers that all pages of the admin server share."""

from __future__ import annotations

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
"""On every answer: nothing here is to be kept, guessed at, or used or framed by another site."""


class Refusal(Exception):
    """The request cannot be answered: `status`, and one line that says why and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parameters(request: web.BaseRequest, *known: str) -> dict[str, str]:
    """The query's parameters. Raises Refusal if one is unknown or repeated."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise Refusal(400, f"{name!r} is no parameter of {request.path}; {takes}")
        if name in found:
            raise Refusal(400, f"{name!r} is given twice; give it once")
        found[name] = value
    return found


def text(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """One line of plain text."""
    return web.Response(status=status, text=f"{message}\n", headers={**HEADERS, **(headers or {})})
