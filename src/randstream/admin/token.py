"""Token: what clients must show, from a file that may be replaced while the server runs."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from typing import Final

from aiohttp import web

from ..clock import Clock
from ..errors import SettingsError
from ..net.renewed import Renewed
from ..settings.files import read_token
from .http import Refusal

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="randstream", Bearer realm="randstream"'}


class Token:
    """The token in the file at `path`, read again for a request when the file has changed. Raises SettingsError."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._token = Renewed(
            (path,), self._read, clock,
            events=("admin.token_unreadable", "admin.token_reloaded"),
            advice="the token that was read before stays valid",
        )  # fmt: skip

    def check(self, request: web.BaseRequest) -> None:
        """Raise Refusal unless the request shows the token: as `Bearer`, or, from a browser, as a password."""
        given = request.headers.getall("Authorization", [])
        token = self._token.newest()
        if len(given) != 1 or not hmac.compare_digest(_shown_by(given[0]), token):
            raise Refusal(
                401, "a token is needed; give the one in --admin-token-file as Bearer or password", _CHALLENGE
            )

    def _read(self) -> bytes:
        try:
            return read_token(self._path).encode()
        except ValueError as error:
            raise SettingsError(f"--admin-token-file: {error}") from None


def _shown_by(authorization: str) -> bytes:
    scheme, _, credentials = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip().encode("utf-8", "surrogateescape")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
