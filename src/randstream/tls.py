"""TLS: who may speak at all. Both ends show a certificate, and take the other's only if their own CA has signed it.

`SecuredEnd` stands between a socket and a protocol end. It is pure: bytes in, bytes out. So both loops, both sides, the
handshake's limit, the slots and the flow control are those of a plain connection. `Credentials` reads the files.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from .errors import PeerClosed, PeerTimeout, Reason, RemoteProtocolError, SettingsError, TlsError
from .protocol.end import End
from .protocol.events import Closed, Event
from .protocol.frames import Lines
from .protocol.states import State
from .settings import CommonSettings, WorkerSettings

RECORD_BYTES: Final = 2**14
"""The most that a record holds (RFC 8446, 5.1), and so what one call of OpenSSL gives."""
SHOWN_BYTES: Final = 32
"""Of what a peer says instead of TLS, this much is told."""
SHOWN_NAMES: Final = 200
"""Characters of the names in a certificate that is refused: it may hold 100 KiB of them."""
_RECORD_TYPES: Final = range(20, 24)
"""What a TLS record begins with (RFC 8446, 5.1)."""
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = b"PRIVATE KEY-----"

log = structlog.get_logger("randstream")


class SecuredEnd:
    """A protocol end behind TLS 1.3, for a connection to carry in the end's place (see `Spoken`).

    With `server_hostname` it is the dialling side, and the peer's certificate must hold that name or address. Without,
    it is the listening side, and where `allowed_names` has any, the peer's certificate must hold one of them.
    What TLS finds wrong is the last event, `Closed`, never an exception; the alert that tells the peer is to be sent.
    """

    def __init__(
        self,
        end: End,
        context: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        allowed_names: frozenset[str] = frozenset(),
    ) -> None:
        self._end = end
        self._allowed_names = allowed_names
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_hostname is None, server_hostname=server_hostname
        )
        self._is_open = False
        self._has_heard = False
        self._is_over = False
        with suppress(ssl.SSLWantReadError):
            self._shake_hands()

    @property
    def deadline(self) -> float:
        """See `End`. That of the handshake is the end's own, which so covers TLS too."""
        return self._end.deadline

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """See `End`."""
        if self._end.state is State.CLOSED:
            return []
        try:
            lines = self._decrypt(data)
        except (TlsError, RemoteProtocolError) as error:
            self._end.close(error.reason)
            return [Closed(error.with_traceback(None))]
        events = self._end.receive_data(lines, now)
        if self._is_over and not (events and isinstance(events[-1], Closed)):
            self._end.close(Reason.CUT)
            events.append(Closed(PeerClosed(Reason.CUT)))
        return events

    def handle_timer(self, now: float) -> list[Event]:
        """See `End`."""
        events = self._end.handle_timer(now)
        if events and not self._is_open:
            return [Closed(PeerTimeout("no TLS handshake within its limit; perhaps the peer speaks plain text"))]
        return events

    def data_to_send(self) -> list[Lines]:
        """See `End`. Before the handshake is done, what the end has to say waits."""
        if self._is_open:
            for data in self._end.data_to_send():
                left = memoryview(data)
                while left:
                    left = left[self._tls.write(left) :]
            if self._end.state is State.CLOSED:
                with suppress(ssl.SSLError):  # it wants the peer's goodbye, for which nobody waits
                    self._tls.unwrap()
        return [self._outgoing.read()] if self._outgoing.pending else []

    def _decrypt(self, data: bytes) -> bytes:
        if not self._has_heard and data:
            self._has_heard = True
            if data[0] not in _RECORD_TYPES:
                raise TlsError(f"the peer speaks no TLS: {data[:SHOWN_BYTES]!r}")
        self._incoming.write(data)
        records: list[bytes] = []
        try:
            if not self._is_open:
                self._shake_hands()
            while record := self._tls.read(RECORD_BYTES):
                records.append(record)
            # The peer's goodbye. OpenSSL takes no more from `_incoming`, where all that follows would pile up.
            self._is_over, self._is_open = True, False
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._is_open = False  # nothing of the end's can be told any more, only the alert
            raise TlsError(_explain(error)) from None
        return b"".join(records)

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        self._is_open = True
        if self._allowed_names:
            shown = names_of(self._tls)
            if self._allowed_names.isdisjoint(shown):
                told = ", ".join(shown)[:SHOWN_NAMES].encode("unicode_escape").decode()
                raise RemoteProtocolError(
                    Reason.REFUSED, f"its certificate is for {told or 'nobody'}, which --allow-producer lacks"
                )


def _explain(error: ssl.SSLError) -> str:
    """OpenSSL's reason in words: what is wrong with the peer's certificate, or what the peer found wrong."""
    if isinstance(error, ssl.SSLZeroReturnError):
        return "the peer ended TLS before its handshake was done"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate does not hold: {error.verify_message.rstrip('.')}"
    what = error.reason or "unknown error"
    _, is_alert, alert = what.partition("_ALERT_")
    return ("the peer ended TLS: " if is_alert else "TLS: ") + (alert or what).lower().replace("_", " ")


def names_of(tls: ssl.SSLObject) -> list[str]:
    """The DNS names, in lower case, and the URIs that the peer's certificate is for; none if one is no UTF-8."""
    try:
        pairs: Any = (tls.getpeercert() or {}).get("subjectAltName", ())
    except UnicodeDecodeError:
        return []
    return [name.lower() if kind == "DNS" else name for kind, name in pairs if kind in ("DNS", "URI")]


class Credentials:
    """The certificate, the key and the CA of this process, read again for a new connection when a file has changed.

    The files are looked at (three calls of `stat`, 15 µs) and, when they have changed, read (1 ms) on the loop: a few
    KiB, and somebody has just written them.

    Raises:
        SettingsError: they cannot be used.
    """

    def __init__(self, settings: CommonSettings) -> None:
        self._settings = settings
        self._allowed_names = frozenset(settings.allow_producer if isinstance(settings, WorkerSettings) else ())
        self._stamp = self._look()
        self._context = self._read()

    def secure(self, end: End, host: str | None = None) -> SecuredEnd:
        """`end`, behind TLS. `host`: the name or address that is dialled; None on the side that listens."""
        return SecuredEnd(
            end, self._newest(), server_hostname=host and host.rstrip("."), allowed_names=self._allowed_names
        )

    def _newest(self) -> ssl.SSLContext:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._read()
            except SettingsError as error:
                log.warning("tls.unreadable", error=str(error), advice="new connections use what was read before")
            else:
                log.info("tls.reloaded", certificate=self._settings.tls_cert)
        return self._context

    def _paths(self) -> dict[str, Path]:
        files = {
            "--tls-cert": self._settings.tls_cert,
            "--tls-key": self._settings.tls_key,
            "--tls-ca": self._settings.tls_ca,
        }
        return {flag: Path(path) for flag, path in files.items() if path is not None}

    def _look(self) -> list[tuple[int, int, int, int] | None]:
        """Which files these are, and as of when. A volume of Kubernetes changes them by changing a link to them."""
        return [_stamp_of(path) for path in self._paths().values()]

    def _read(self) -> ssl.SSLContext:
        paths = self._paths()
        for flag, path in paths.items():
            _require(flag, path, _KEY if flag == "--tls-key" else _CERTIFICATE)
        is_worker = isinstance(self._settings, WorkerSettings)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_worker else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # --tls-ca may be an intermediate one
        if is_worker:
            context.num_tickets = 0  # a resumed session would go on with certificates that were changed since
        else:
            context.hostname_checks_common_name = False
        blamed = "--tls-cert"
        try:
            context.load_cert_chain(paths["--tls-cert"], paths["--tls-key"], password=_refuse_passphrase)
            blamed = "--tls-ca"
            context.load_verify_locations(paths["--tls-ca"])
        except OSError as error:  # ssl.SSLError is one
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                raise SettingsError(
                    f"--tls-key {paths['--tls-key']} does not belong to --tls-cert {paths['--tls-cert']}; give the pair"
                ) from None
            with_key = f" and --tls-key {paths['--tls-key']}" if blamed == "--tls-cert" else ""
            raise SettingsError(
                f"{blamed} {paths[blamed]}{with_key}: no PEM that can be used; give intact files"
            ) from None
        return context


def _stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    """The size tells a file that is half written from the whole: both may bear the time of one tick of the kernel."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _require(flag: str, path: Path, mark: bytes) -> None:
    """OpenSSL's own errors name neither the file nor what is missing in it."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{flag} {path}: cannot read it: {error.strerror}") from None
    if mark not in text:
        what = "private key" if mark == _KEY else "certificate"
        raise SettingsError(f"{flag} {path}: no {what} in it; give a PEM file that has one")


def _refuse_passphrase() -> str:
    """OpenSSL would ask for it on the terminal, and wait."""
    raise SettingsError("the key in --tls-key wants a passphrase, which nobody is there to give; give one without")
