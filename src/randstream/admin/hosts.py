"""Hosts: the names by which this server may be called, and the pages that may call it. Reads headers only.

If evil.example is made to resolve to this server (DNS rebinding), a browser takes its pages for the server's own origin
and lets them read everything. Only the Host header still says evil.example. Nobody can rebind a literal address.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from aiohttp import HttpVersion11, web

from ..settings.checks import shorten
from .http import Refusal, is_secure

_AUTHORITY: Final = re.compile(r"(\[[^\[\]]+\]|[^\s:/?#@\[\]\\]+)(?::([0-9]*))?")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_USUAL_PORTS: Final = (None, "", "80", "443")


class Hosts:
    """Literal addresses, localhost, this machine's name and `names`; `*.a.example` is all names that end so."""

    def __init__(self, names: Iterable[str]) -> None:
        known = {_canonical(name) for name in ("localhost", socket.gethostname(), *names)}
        self._names = {name for name in known if not name.startswith("*.")}
        self._endings = tuple(name.removeprefix("*") for name in known - self._names)

    def check_host(self, request: web.BaseRequest) -> None:
        """Raise Refusal: 421 if the request is for another host, 400 if it does not say for which."""
        called = request.headers.getall("Host", [])
        if len(called) > 1 or (not called and request.version >= HttpVersion11):
            raise Refusal(400, f"{len(called)} Host headers; give one")
        target = _ABSOLUTE.match(request.raw_path)
        for authority in (*called, *(target.groups() if target else ())):
            found = _AUTHORITY.fullmatch(authority)
            if found is None:
                raise Refusal(400, f"{shorten(authority)} is not a host; give NAME:PORT")
            if not self._is_ours(found[1]):
                name = shorten(found[1])
                raise Refusal(421, f"this server does not know {name} as its name; start it with --admin-host {name}")

    def check_origin(self, request: web.BaseRequest) -> None:
        """Raise Refusal if a page of another site sends this. A link that opens our page is not refused."""
        headers = request.headers
        is_opened = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
        is_foreign = not is_opened and headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        host = _place(headers.get("Host", ""))
        origins = [origin.partition("://") for origin in headers.getall("Origin", [])]
        is_foreign |= any(_place(place) is None or _place(place) != host for _, _, place in origins)
        # A proxy may put TLS in front of plain HTTP, but nothing turns HTTPS into plain HTTP.
        is_foreign |= is_secure(request) and any(scheme.lower() != "https" for scheme, _, _ in origins)
        if is_foreign:
            raise Refusal(403, "pages of other sites may not call this server; open its own address")

    def _is_ours(self, host: str) -> bool:
        name = _canonical(host)
        return _is_address(name) or name in self._names or name.endswith(self._endings)


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")


def _place(authority: str) -> tuple[str, str] | None:
    """The host, and the port unless it is a default one."""
    found = _AUTHORITY.fullmatch(authority)
    return found and (_canonical(found[1]), "" if found[2] in _USUAL_PORTS else found[2])


def _is_address(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]") if host.startswith("[") else host)
    except ValueError:
        return False
    return True
