"""TLS: both ends present a certificate, and accept the other's only if their own CA has signed it.

`SecuredEnd` stands between a socket and a protocol end. It is pure: bytes in, bytes out. So both loops, both sides, the
handshake limit, the slots and the flow control are those of a plain connection.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any, Final

from ..errors import ExpiredError, PeerClosed, PeerTimeout, Reason, RemoteProtocolError, TlsError
from ..protocol.end import End
from ..protocol.events import Closed, Event, Greeted, Opened
from ..protocol.frames import Lines, Open
from ..protocol.states import State

RECORD_BYTES: Final = 2**14
"""The most that a record holds (RFC 8446, 5.1), and so the most that one call of OpenSSL returns."""
SHOWN_BYTES: Final = 32
"""How much an error shows of what a peer sends instead of TLS."""
SHOWN_NAMES: Final = 200
"""How many characters an error shows of a refused certificate's names: it may hold 100 KiB of them."""
EXPIRED: Final = "SSLV3_ALERT_CERTIFICATE_EXPIRED"
"""What OpenSSL calls a peer's alert 45 (RFC 8446, 6)."""
_RECORD_TYPES: Final = range(20, 24)
"""What a TLS record begins with (RFC 8446, 5.1)."""


class SecuredEnd:
    """A protocol end behind TLS 1.3, for a connection to carry in the end's place (see `Spoken`).

    With `server_hostname` it is the dialling side, and the peer's certificate must hold that name or address. Without,
    it is the listening side. Where `allowed_names` has any, the peer's certificate must hold one of them.
    A worker's certificate must hold the name that it greets with, unless `allowed_names` gives others; a producer's the
    one that it opens with, if `allowed_names` has any.
    A TLS error is the last event, `Closed`, never an exception; the alert that tells the peer is still to be sent.
    """

    writes_on = False

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
        self._dials = server_hostname is not None
        self._held_names: list[str] = []
        self._is_open = False
        self._has_heard = False
        self._is_over = False
        with suppress(ssl.SSLWantReadError):
            self._shake_hands()

    @property
    def deadline(self) -> float:
        """See `End`. The end's own handshake limit covers TLS too."""
        return self._end.deadline

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        if self._end.state is State.CLOSED:
            return []
        try:
            lines = self._decrypt(data)
        except (TlsError, RemoteProtocolError) as error:
            self._end.close(error.reason)
            return [Closed(error.with_traceback(None))]
        events = self._end.receive_data(lines, now)
        if self._is_over:
            events += self._end.receive_eof(now)
        if self._dials is not bool(self._allowed_names) and (event := self._find_impostor(events)):
            return [event]
        if self._is_over and not (events and isinstance(events[-1], Closed)):
            self._end.close(Reason.CUT)
            events.append(Closed(PeerClosed(Reason.CUT)))
        return events

    def receive_eof(self, now: float) -> list[Event]:
        """See `End`. Without `close_notify` before it, anyone may have caused this, and it ends no line."""
        return []

    def handle_timer(self, now: float) -> list[Event]:
        events = self._end.handle_timer(now)
        if events and not self._is_open:
            # A worker that speaks plain text would have spoken first.
            hint = "" if self._dials else "; perhaps the peer speaks plain text"
            return [Closed(PeerTimeout(f"no TLS handshake within its limit{hint}"))]
        return events

    def data_to_send(self) -> list[Lines]:
        """See `End`. Before the handshake is done, what the end has to say waits."""
        if self._is_open:
            for data in self._end.data_to_send():
                left = memoryview(data)
                while left:
                    left = left[self._tls.write(left) :]
            if self._end.state is State.CLOSED:
                with suppress(ssl.SSLError):  # it wants the peer's `close_notify`, which we do not wait for
                    self._tls.unwrap()
        return [self._outgoing.read()] if self._outgoing.pending else []

    def _decrypt(self, data: bytes) -> bytes:
        if not self._has_heard and data:
            self._has_heard = True
            if data[0] not in _RECORD_TYPES:
                raise TlsError(f"the peer does not speak TLS: {data[:SHOWN_BYTES]!r}")
        self._incoming.write(data)
        records: list[bytes] = []
        try:
            if not self._is_open:
                self._shake_hands()
            while record := self._tls.read(RECORD_BYTES):
                records.append(record)
            # The peer's `close_notify`. OpenSSL takes no more from `_incoming`, where all that follows would pile up.
            self._is_over, self._is_open = True, False
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._is_open = False  # nothing from the end can be sent any more, only the alert
            raise (ExpiredError if error.reason == EXPIRED else TlsError)(explain(error)) from None
        return b"".join(records)

    def _shake_hands(self) -> None:
        self._tls.do_handshake()
        self._is_open = True
        self._held_names = names_of(self._tls)
        if self._allowed_names and self._allowed_names.isdisjoint(self._held_names):
            flag = "--allow-worker" if self._dials else "--allow-producer"
            raise RemoteProtocolError(Reason.REFUSED, f"its certificate is for {self._shown}, which {flag} lacks")

    def _find_impostor(self, events: list[Event]) -> Closed | None:
        """How the connection ends if the peer gives a name that its certificate does not hold."""
        for event in events:
            match event:
                case Greeted(name):
                    advice = "; allow it with --allow-worker"
                case Opened(Open(producer=name)):
                    advice = ""
                case _:
                    continue
            if not holds_name(self._held_names, name):
                self._end.close(Reason.REFUSED)
                detail = f"it calls itself {name}, but its certificate is for {self._shown}{advice}"
                return Closed(RemoteProtocolError(Reason.REFUSED, detail))
        return None

    @property
    def _shown(self) -> str:
        """The names in the peer's certificate, for a log."""
        return ", ".join(self._held_names)[:SHOWN_NAMES].encode("unicode_escape").decode() or "nobody"


def explain(error: ssl.SSLError) -> str:
    """Put OpenSSL's reason in words: what is wrong with the peer's certificate, or what the peer found wrong."""
    if isinstance(error, ssl.SSLZeroReturnError):
        return "the peer ended TLS before its handshake was done"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is not valid: {error.verify_message.rstrip('.')}"
    what = error.reason or "unknown error"
    _, is_alert, alert = what.partition("_ALERT_")
    return ("the peer ended TLS: " if is_alert else "TLS: ") + (alert or what).lower().replace("_", " ")


def names_of(tls: ssl.SSLObject) -> list[str]:
    """The DNS names, in lower case, and the URIs that the peer's certificate is for; none if one is not UTF-8."""
    try:
        pairs: Any = (tls.getpeercert() or {}).get("subjectAltName", ())
    except UnicodeDecodeError:
        return []
    return [name.lower() if kind == "DNS" else name for kind, name in pairs if kind in ("DNS", "URI")]


def holds_name(names: list[str], name: str) -> bool:
    """Whether a certificate for `names` is also one for the process `name`: `worker-0.worker.example` and
    `*.worker.example` are for the pod `worker-0`.
    """
    wanted = name.lower()
    return any(each == wanted or each.partition(".")[0] in (wanted, "*") for each in names)
