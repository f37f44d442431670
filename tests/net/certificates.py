"""Certificates: the files of each party, both ends behind TLS without a loop, and TLS spoken by hand."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import trustme
from tests.protocol.network import START, WORKER, a_sender

from randstream.clock import Clock
from randstream.net.connection import Spoken
from randstream.net.credentials import Credentials
from randstream.net.tls import SecuredEnd
from randstream.protocol.events import Closed, Event
from randstream.protocol.receiver import Receiver
from randstream.settings.roles import ProducerSettings, WorkerSettings

HOST: Final = "127.0.0.1"
PRODUCER: Final = "producer-0.example"
CA: Final = trustme.CA()
OTHER_CA: Final = trustme.CA()
EXPIRED: Final[dict[str, Any]] = {
    "not_before": datetime.now(UTC) - timedelta(days=2), "not_after": datetime.now(UTC) - timedelta(days=1),
}  # fmt: skip
"""The life of a certificate that has expired."""


@dataclass(frozen=True)
class Files:
    """One party's files, as its settings name them."""

    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        return {f"tls_{name}": str(self.folder / name) for name in ("cert", "key", "ca")}

    @property
    def flags(self) -> list[str]:
        return [f"--tls-{name}={self.folder / name}" for name in ("cert", "key", "ca")]

    def write(self, certificate: trustme.LeafCert, *cas: trustme.CA) -> Files:
        """Replace the files as a Kubernetes volume does: all of them at once."""
        chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
        self.put("cert", chain)
        self.put("key", certificate.private_key_pem.bytes())
        self.put("ca", b"".join(each.cert_pem.bytes() for each in cas))
        return self

    def put(self, name: str, text: bytes) -> None:
        self.folder.mkdir(exist_ok=True)
        fresh = self.folder / f".{name}"
        fresh.write_bytes(text)
        fresh.replace(self.folder / name)

    def context(self, protocol: int) -> ssl.SSLContext:
        """For a peer that is spoken by hand."""
        context = ssl.SSLContext(protocol)
        context.load_cert_chain(self.folder / "cert", self.folder / "key")
        context.load_verify_locations(self.folder / "ca")
        return context


def worker_settings(files: Files, **more: Any) -> WorkerSettings:
    return WorkerSettings(name="worker-0", discard=True, **files.settings, **more)


def producer_settings(files: Files, **more: Any) -> ProducerSettings:
    return ProducerSettings(**{"workers": f"{HOST}:9000", "seed": "42", **files.settings, **more})


class Talk:
    """A sender and a receiver, each behind TLS or not, and all bytes that went between them."""

    def __init__(self, sender: Spoken, receiver: Spoken) -> None:
        self.sender, self.receiver = sender, receiver
        self.heard: dict[str, list[Event]] = {"producer": [], "worker": []}
        self.wire = b""

    def settle(self, slices: Iterator[int] | None = None) -> Talk:
        """Carry bytes until neither end has any, whole or in `slices`."""
        while True:
            moved = self._carry(self.sender, self.receiver, "worker", slices)
            if not self._carry(self.receiver, self.sender, "producer", slices) and not moved:
                return self

    def _carry(self, source: Spoken, sink: Spoken, name: str, slices: Iterator[int] | None) -> bool:
        data = b"".join(source.data_to_send())
        self.wire += data
        left = data
        while left:
            size = next(slices) if slices else len(left)
            self.heard[name] += sink.receive_data(left[:size], START)
            left = left[size:]
        return bool(data)

    def error(self, name: str) -> Exception:
        closed = self.heard[name][-1]
        assert isinstance(closed, Closed)
        return closed.error


def a_receiver() -> Receiver:
    """One whose greeting still waits."""
    return Receiver(WORKER, now=START)


def secured_sender(files: Files, host: str = HOST) -> SecuredEnd:
    return Credentials(producer_settings(files), Clock()).secure(a_sender(), host)


def secured_receiver(files: Files, **more: Any) -> SecuredEnd:
    return Credentials(worker_settings(files, **more), Clock()).secure(a_receiver())


class TlsByHand:
    """One side of TLS and nothing else: what a peer may say that no end of ours would. Implements `Spoken`."""

    deadline = float("inf")
    writes_on = False

    def __init__(self, context: ssl.SSLContext, *, server_hostname: str | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_hostname is None, server_hostname=server_hostname
        )
        self.heard = b""
        self._is_open = False
        self._shake_hands()

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        self._incoming.write(data)
        self._shake_hands()
        if self._is_open:
            with suppress(ssl.SSLWantReadError):
                self.heard += self.tls.read(2**16)
        return []

    def receive_eof(self, now: float) -> list[Event]:
        return []

    def handle_timer(self, now: float) -> list[Event]:
        return []

    def data_to_send(self) -> list[bytes | memoryview]:
        return [self._outgoing.read()]

    def goodbye(self, *lines: bytes) -> bytes:
        """`lines` and a close_notify, but no `#close`."""
        for line in lines:
            self.tls.write(line)
        with suppress(ssl.SSLWantReadError):  # it wants the answer
            self.tls.unwrap()
        return self._outgoing.read()

    def _shake_hands(self) -> None:
        if not self._is_open:
            with suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                self._is_open = True


def a_producer_by_hand(files: Files) -> TlsByHand:
    return TlsByHand(files.context(ssl.PROTOCOL_TLS_CLIENT), server_hostname=HOST)


def a_worker_by_hand(files: Files) -> TlsByHand:
    context = files.context(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return TlsByHand(context)
