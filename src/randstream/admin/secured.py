"""Secured: TLS between a socket and an HTTP handler. It is the socket's protocol and the handler's transport.

asyncio's own TLS shows a connection only after its handshake, so unfinished handshakes could be neither counted nor
timed, and plain HTTP not answered. Here the handler has its place and its time limit from the first byte.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Final, cast

from ..clock import Clock
from ..net.pem import Loaded, load_pair
from ..net.renewed import Renewed
from ..net.tls import RECORD_BYTES, explain

HANDSHAKE: Final = 22
"""The first byte of a client's TLS (RFC 8446, 5.1), and never of HTTP."""


def read_certificate(cert: str, key: str, clock: Clock) -> Renewed[Loaded]:
    """The server's side of TLS 1.3, with the files as they are at each new connection. Raises SettingsError."""

    def read() -> Loaded:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0  # a resumed session would keep a certificate that has been replaced since
        context.set_alpn_protocols(["http/1.1"])
        return Loaded(context, load_pair(context, ("--admin-tls-cert", "--admin-tls-key"), (cert, key)))

    return Renewed(
        (cert, key), read, clock,
        events=("tls.unreadable", "tls.reloaded"),
        advice="new connections use the files as last read", certificate=cert,
    )  # fmt: skip


class _State(Enum):
    NEW = auto()
    SHAKING = auto()
    OPEN = auto()
    PLAIN = auto()
    """The client does not speak TLS. Its bytes go to the handler, whose requests then have no `sslcontext`."""
    OVER = auto()


class Secured(asyncio.Protocol, asyncio.Transport):
    """`handler`, behind TLS. `on_failure` gets the reason when a handshake fails."""

    def __init__(
        self, handler: asyncio.Protocol, context: ssl.SSLContext, on_failure: Callable[[asyncio.Transport, str], None]
    ) -> None:
        super().__init__()
        self._handler = handler
        self._context = context
        self._on_failure = on_failure
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._state = _State.NEW
        self._socket: asyncio.Transport

    # -- called by the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._handler.connection_made(self)

    def data_received(self, data: bytes) -> None:
        if self._state is _State.NEW:
            self._state = _State.SHAKING if data[0] == HANDSHAKE else _State.PLAIN
        if self._state is _State.PLAIN:
            self._handler.data_received(data)
        elif self._state is not _State.OVER:
            self._incoming.write(data)
            text, is_over = self._decrypt()
            self._flush()
            if text:
                self._handler.data_received(text)
            if is_over:
                self._state = _State.OVER
                self.close()

    def eof_received(self) -> None:
        """Let the socket close: without a TLS `close_notify`, the end may be forged."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    # -- called by the handler

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._context if self._state is _State.OPEN else default
        return self._socket.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._state is _State.PLAIN:
            self._socket.write(data)
        elif self._state is _State.OPEN and not self._socket.is_closing():
            left = memoryview(data)
            while left:
                left = left[self._tls.write(left) :]
            self._flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._socket.is_closing()

    def close(self) -> None:
        """End TLS if it has begun, and close once all is written."""
        if not self._socket.is_closing():
            if self._state is not _State.PLAIN:
                with suppress(ssl.SSLError):  # it asks for the client's close_notify, which is not waited for
                    self._tls.unwrap()
                self._flush()
            self._socket.close()

    def abort(self) -> None:
        self._socket.abort()

    def pause_reading(self) -> None:
        self._socket.pause_reading()

    def resume_reading(self) -> None:
        self._socket.resume_reading()

    def _decrypt(self) -> tuple[bytes, bool]:
        """The client's bytes, and whether it has ended or broken TLS."""
        records: list[bytes] = []
        is_over = True
        try:
            if self._state is _State.SHAKING:
                self._tls.do_handshake()
                self._state = _State.OPEN
            while record := self._tls.read(RECORD_BYTES):
                records.append(record)
        except ssl.SSLWantReadError:
            is_over = False
        except ssl.SSLError as error:
            if self._state is _State.SHAKING:
                self._on_failure(self, explain(error))
        return b"".join(records), is_over

    def _flush(self) -> None:
        if self._outgoing.pending and not self._socket.is_closing():
            self._socket.write(self._outgoing.read())
