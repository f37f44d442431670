"""Source: an admin server that `top` asks."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from http.client import HTTPException
from ipaddress import ip_address
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from ...errors import SettingsError, words_of
from ...net.pem import load_authorities
from ...settings.files import read_token
from ..words import plain
from .snapshot import WrongShape, read_snapshot

ANSWER_SECONDS: Final = 5.0
MOST_BYTES: Final = 32 * 2**20
"""The longest answer: several times what ten thousand links take."""
TOLD_BYTES: Final = 300
"""How much of a server's reason to refuse is read: more than one line of ours."""
_WRONG_NAMES: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_WRONG_TIMES: Final = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
"""OpenSSL's reasons, by version, for "HTTP/1.0 400" where a record should be."""


class _NoRedirects(HTTPRedirectHandler):
    """A server does not choose which server is asked next."""

    def redirect_request(self, *_: Any) -> None:
        """Leave a redirect an error."""


class Source:
    """An admin server's `/api/links`. `url`: `http://host:port`, `https://host:port`, or `host:port` for the former.

    A user and a password in it are sent as HTTP Basic credentials, and never shown; without them, the token in
    `token_file` is sent, read again for each request. `ca_file`: see `trusting`.
    """

    def __init__(self, url: str, token_file: str | None = None, ca_file: str | None = None) -> None:
        parts = _split(url)
        if parts is None:
            shown = "a URL with an @" if "@" in url else repr(url.partition("?")[0])  # it may be a password's end
            raise SettingsError(f"{shown} is not the address of an admin server; give http://HOST:PORT")
        self.is_secure = parts.scheme == "https"
        user, _, self.address = parts.netloc.rpartition("@")
        self._base = f"{parts.scheme}://{self.address}{parts.path.rstrip('/')}"
        self._headers = {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"} if user else {}
        self._token_file = None if user else token_file
        # A proxy cannot reach this machine, and would see everything.
        handlers: list[Any] = [ProxyHandler({})] if is_loopback(parts.hostname or "") else []
        if self.is_secure:
            handlers.append(HTTPSHandler(context=trusting(ca_file)))
        self._opener = build_opener(_NoRedirects, *handlers)

    def fetch(self, *, limit: int, name_filter: str = "") -> dict[str, Any]:
        """A snapshot as `read_snapshot` gives it, of up to `limit` links whose worker or peer contains `name_filter`.

        Raises SettingsError if the server gives none.
        """
        name_filter = quote(name_filter, errors="replace")
        url = f"{self._base}/api/links?limit={limit}&filter={name_filter}&interruptions=0"
        headers = self._headers
        try:
            if self._token_file is not None:
                headers = {"Authorization": f"Bearer {read_token(self._token_file)}"}
        except ValueError as error:
            raise SettingsError(f"--token-file: {error}") from None
        try:
            request = Request(url, headers=headers)  # noqa: S310 - http or https, as checked above
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                body = answer.read(MOST_BYTES + 1)
            if len(body) > MOST_BYTES:
                raise WrongShape("it is too long")
            return read_snapshot(body)
        except WrongShape as error:
            why, advice = f"{error}", "give the address of a role's --admin"
            raise SettingsError(f"no admin server's answer from {self._shown}: {why}; {advice}") from None
        except HTTPError as error:
            with error:
                raise SettingsError(f"no answer from {self._shown}: {_refusal(error)}") from None
        except (HTTPException, OSError, ValueError, OverflowError) as error:
            inner = getattr(error, "reason", None)
            reason = inner if isinstance(inner, Exception) else error
            told = _tls_trouble(reason) if isinstance(reason, ssl.SSLError) else None
            told = told or f"{_line(words_of(reason)) or type(error).__name__}; start a role with --admin there"
            raise SettingsError(f"no answer from {self._shown}: {told}") from None

    @property
    def _shown(self) -> str:
        return plain(self._base)


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """A client's context that trusts the certificates in `ca_file`, or by default the system's.

    Raises SettingsError if `ca_file` is unusable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.hostname_checks_common_name = False
    if ca_file is None:
        context.load_default_certs()
    else:
        load_authorities(context, "--ca", ca_file)
    return context


def _tls_trouble(error: ssl.SSLError) -> str | None:
    """What is wrong, and what to do; None if `error` itself says all that is known."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=code):
            why = f"its certificate is not accepted: {_line(error.verify_message).rstrip('.')}"
            if code in _WRONG_NAMES:
                return f"{why}; use a name that the certificate holds, or have one issued for this name"
            if code in _WRONG_TIMES:
                return f"{why}; renew it, or check this machine's clock"
            return f"{why}; give the CA that signed it, or the certificate itself, with --ca FILE"
        case ssl.SSLError(reason=reason) if reason in _NO_TLS:
            return "it does not speak TLS; use http://, or start it with --admin-tls-cert"
    return None


def _split(url: str) -> SplitResult | None:
    """The parts of `url`; None: it names no server, or has an @ after it, as when a password contains a slash."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        has_server = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if has_server and "@" not in parts.path + parts.query + parts.fragment else None


def is_loopback(host: str) -> bool:
    """Whether `host`, as it stands in a URL, is this machine, by its address or by localhost."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return _is_old_loopback(name)
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _is_old_loopback(host: str) -> bool:
    """The same for what the C library still takes for an address, such as 127.1."""
    try:
        return socket.inet_aton(host)[0] in (0, 127)
    except (OSError, ValueError):
        return False


def _refusal(error: HTTPError) -> str:
    """Its status, and the server's reason if it gives one."""
    told = ""
    if error.headers.get_content_type() == "text/plain":
        try:
            told = _line(error.read(TOLD_BYTES).decode("utf-8", "replace"))
        except (HTTPException, OSError, ValueError):
            told = ""
    return f"{error.code}, {told or _line(error.reason) or 'no reason given'}"


def _line(text: str) -> str:
    return plain(text[:TOLD_BYTES]).strip()
