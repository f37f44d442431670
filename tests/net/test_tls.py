"""TLS: who is let in, what both ends say of it, and certificates that change under a running stream."""

from __future__ import annotations

import datetime
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.harness import NUMBERS, Log, Memory, Peer, a_listener, a_worker, dialled, producing, stream, until
from tests.protocol.network import HELLO, START, WORKER, a_sender, repeatable

from randstream.errors import (
    PeerClosed,
    PeerTimeout,
    Reason,
    RemoteProtocolError,
    SettingsError,
    TlsError,
    is_transient,
)
from randstream.net.connection import Spoken
from randstream.net.credentials import Credentials
from randstream.net.tls import SHOWN_NAMES, SecuredEnd
from randstream.protocol import HANDSHAKE_LIMIT
from randstream.protocol.events import Closed, Event, Greeted
from randstream.protocol.frames import Numbers
from randstream.protocol.receiver import Receiver
from randstream.settings.roles import CommonSettings, ProducerSettings, WorkerSettings

HOST = "127.0.0.1"
PRODUCER = "producer.example"
DAY = datetime.timedelta(days=1)

pytestmark = pytest.mark.kernel


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
        """Put these there as a volume of Kubernetes does: each file is another one at once."""
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


CA = trustme.CA()
OTHER_CA = trustme.CA()
EXPIRED: dict[str, Any] = {
    "not_before": datetime.datetime.now(datetime.UTC) - 2 * DAY, "not_after": datetime.datetime.now(datetime.UTC) - DAY
}  # fmt: skip


@pytest.fixture
def worker_files(tmp_path: Path) -> Files:
    return Files(tmp_path / "worker").write(CA.issue_cert(HOST, "localhost"), CA)


@pytest.fixture
def producer_files(tmp_path: Path) -> Files:
    return Files(tmp_path / "producer").write(CA.issue_cert(PRODUCER), CA)


def worker_settings(files: Files, **more: Any) -> WorkerSettings:
    return WorkerSettings(name="worker-0", discard=True, **files.settings, **more)


def producer_settings(files: Files, **more: Any) -> ProducerSettings:
    return ProducerSettings(**{"workers": f"{HOST}:9000", "seed": "42", **files.settings, **more})


# ---- two ends and the bytes between them, without a loop -----------------------------------------------------------


class Talk:
    """A sender and a receiver, each behind TLS or not, and all bytes that went between them."""

    def __init__(self, sender: Spoken, receiver: Spoken) -> None:
        self.sender, self.receiver = sender, receiver
        self.heard: dict[str, list[Event]] = {"producer": [], "worker": []}
        self.wire = b""

    def settle(self, slices: Iterator[int] | None = None) -> Talk:
        """Carry bytes until nobody has any, whole or in `slices`."""
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
    return Credentials(producer_settings(files)).secure(a_sender(), host)


def secured_receiver(files: Files, **more: Any) -> SecuredEnd:
    return Credentials(worker_settings(files, **more)).secure(a_receiver())


@pytest.mark.parametrize("host", [HOST, "localhost", "localhost."])
def test_the_ends_hear_each_other_when_both_certificates_hold(
    host: str, worker_files: Files, producer_files: Files
) -> None:
    talk = Talk(secured_sender(producer_files, host), secured_receiver(worker_files)).settle()
    assert talk.heard["producer"] == [Greeted("worker-0")]


@pytest.mark.parametrize(
    ("host", "holds"), [("worker-0.worker.ns.svc", True), ("a.b.worker.ns.svc", False), ("worker.ns.svc", False)]
)
def test_a_wildcard_holds_for_each_pod_of_its_service_and_nothing_else(
    host: str, holds: bool, worker_files: Files, producer_files: Files
) -> None:
    worker_files.write(CA.issue_cert("*.worker.ns.svc"), CA)
    talk = Talk(secured_sender(producer_files, host), secured_receiver(worker_files)).settle()
    assert (talk.heard["producer"] == [Greeted("worker-0")]) == holds


def test_no_ticket_lets_a_later_connection_pass_without_a_certificate(
    worker_files: Files, producer_files: Files
) -> None:
    sender = secured_sender(producer_files)
    Talk(sender, secured_receiver(worker_files)).settle()
    session = sender._tls.session
    assert session is None or not session.has_ticket


def test_nothing_that_the_ends_say_is_on_the_wire_in_clear(worker_files: Files, producer_files: Files) -> None:
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    assert b"worker-0" not in talk.wire
    assert b"#" + HELLO[1:6] not in talk.wire


def test_tls_survives_any_slicing(tmp_path_factory: pytest.TempPathFactory) -> None:
    worker = Credentials(worker_settings(Files(tmp_path_factory.mktemp("w")).write(CA.issue_cert(HOST), CA)))
    producer = Credentials(producer_settings(Files(tmp_path_factory.mktemp("p")).write(CA.issue_cert(PRODUCER), CA)))

    @repeatable(25)
    @given(sizes=st.lists(st.integers(1, 900), min_size=1, max_size=8))
    def check(sizes: list[int]) -> None:
        def cycle() -> Iterator[int]:
            while True:
                yield from sizes

        talk = Talk(producer.secure(a_sender(), HOST), worker.secure(a_receiver())).settle(cycle())
        assert talk.heard["producer"] == [Greeted("worker-0")]

    check()


Break = Callable[[Files, Files], tuple[str, str]]
"""Spoils the worker's or the producer's files, and says whose certificate is at fault, and what its peer finds."""


def wrong_worker_ca(worker: Files, producer: Files) -> tuple[str, str]:
    worker.write(OTHER_CA.issue_cert(HOST), CA)
    return "worker", "unable to get local issuer certificate"


def wrong_producer_ca(worker: Files, producer: Files) -> tuple[str, str]:
    producer.write(OTHER_CA.issue_cert(PRODUCER), CA)
    return "producer", "unable to get local issuer certificate"


def expired_worker(worker: Files, producer: Files) -> tuple[str, str]:
    worker.write(CA.issue_cert(HOST, **EXPIRED), CA)
    return "worker", "certificate has expired"


def expired_producer(worker: Files, producer: Files) -> tuple[str, str]:
    producer.write(CA.issue_cert(PRODUCER, **EXPIRED), CA)
    return "producer", "certificate has expired"


def wrong_name(worker: Files, producer: Files) -> tuple[str, str]:
    worker.write(CA.issue_cert("worker-1.example"), CA)
    return "worker", "IP address mismatch"


def name_in_common_name_only(worker: Files, producer: Files) -> tuple[str, str]:
    worker.write(CA.issue_cert("worker-1.example", common_name=HOST), CA)
    return "worker", "IP address mismatch"


BREAKS = [
    wrong_worker_ca, wrong_producer_ca, expired_worker, expired_producer, wrong_name, name_in_common_name_only,
]  # fmt: skip


@pytest.mark.parametrize("spoil", BREAKS)
def test_a_certificate_that_does_not_hold_is_told_by_both_ends_and_nobody_is_greeted(
    spoil: Break, worker_files: Files, producer_files: Files
) -> None:
    at_fault, finding = spoil(worker_files, producer_files)
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    judge = "producer" if at_fault == "worker" else "worker"
    assert finding in str(talk.error(judge))
    assert str(talk.error(judge)).startswith("the peer's certificate does not hold: ")
    assert str(talk.error(at_fault)).startswith("the peer ended TLS: ")
    for name in ("producer", "worker"):
        assert isinstance(talk.error(name), TlsError)
        assert len(talk.heard[name]) == 1
        assert not is_transient(talk.error(name))
    assert talk.sender.receive_data(b"more", START) == []
    assert talk.sender.handle_timer(START + 100) == []
    assert talk.sender.deadline == float("inf")


def test_a_common_name_is_no_name_even_where_there_is_no_other(worker_files: Files, producer_files: Files) -> None:
    certificate, key = signed(common_name="localhost")
    worker_files.put("cert", certificate)
    worker_files.put("key", key)
    talk = Talk(secured_sender(producer_files, "localhost"), secured_receiver(worker_files)).settle()
    assert "certificate is not valid for 'localhost'" in str(talk.error("producer"))


def test_a_producer_without_a_certificate_is_refused(worker_files: Files) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(worker_files.folder / "ca")
    talk = Talk(SecuredEnd(a_sender(), context, server_hostname=HOST), secured_receiver(worker_files)).settle()
    assert str(talk.error("worker")) == "TLS: peer did not return a certificate"
    assert str(talk.error("producer")) == "the peer ended TLS: certificate required"


def test_older_versions_of_tls_are_refused(worker_files: Files, producer_files: Files) -> None:
    context = producer_files.context(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    talk = Talk(SecuredEnd(a_sender(), context, server_hostname=HOST), secured_receiver(worker_files)).settle()
    assert str(talk.error("worker")) == "TLS: unsupported protocol"
    assert str(talk.error("producer")) == "the peer ended TLS: protocol version"


def certificate_for(*names: str, purpose: x509.ObjectIdentifier | None = None) -> tuple[bytes, bytes]:
    """A certificate of the CA's with DNS names and URIs, which trustme cannot make, and its key."""
    alternatives = [x509.UniformResourceIdentifier(name) if "/" in name else x509.DNSName(name) for name in names]
    return signed(x509.SubjectAlternativeName(alternatives), *([x509.ExtendedKeyUsage([purpose])] if purpose else []))


def signed(*extensions: x509.ExtensionType, common_name: str | None = None) -> tuple[bytes, bytes]:
    """A certificate of the CA's, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(CA.cert_pem.bytes())
    signer: Any = serialization.load_pem_private_key(CA.private_key_pem.bytes(), None)
    today = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])
    builder = x509.CertificateBuilder(issuer.subject, subject, key.public_key(), 1, today - DAY, today + DAY)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    certificate = builder.sign(signer, hashes.SHA256())
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return certificate.public_bytes(pem), key.private_bytes(pem, pkcs8, serialization.NoEncryption())


@pytest.fixture
def two_names(producer_files: Files) -> Files:
    """A producer whose certificate has a DNS name and a URI."""
    certificate, key = certificate_for(PRODUCER, "spiffe://cluster/Producer")
    producer_files.put("cert", certificate)
    producer_files.put("key", key)
    return producer_files


@pytest.mark.parametrize("allowed", ["spiffe://cluster/Producer", "other.example,PRODUCER.example"])
def test_an_allowed_producer_is_heard(allowed: str, worker_files: Files, two_names: Files) -> None:
    talk = Talk(secured_sender(two_names), secured_receiver(worker_files, allow_producer=allowed)).settle()
    assert talk.heard["producer"] == [Greeted("worker-0")]


@pytest.mark.parametrize("allowed", ["producer.exampl", "spiffe://cluster/producer", "example", HOST])
def test_a_producer_that_is_not_allowed_is_refused_and_told_so(
    allowed: str, worker_files: Files, two_names: Files
) -> None:
    talk = Talk(secured_sender(two_names), secured_receiver(worker_files, allow_producer=allowed)).settle()
    judged, told = talk.error("worker"), talk.error("producer")
    assert isinstance(judged, RemoteProtocolError)
    assert isinstance(told, PeerClosed)
    assert judged.reason is told.reason is Reason.REFUSED
    assert str(judged) == (
        "its certificate is for producer.example, spiffe://cluster/Producer, which --allow-producer lacks"
    )


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (b"\x82\x0aa\x1b[31m\r\nbc", "a\\x1b[31m\\r\\nbc"),
        (b"\x82\x14producer.example\x00abc", "producer.example\\x00abc"),
        (b"\x82\x03a\xff\xfe", "nobody"),
        (b"\x82\x14" + b"abcdefghijklmnopqrst" + b"\x82\x01x" * 60, "abcdefghijklmnopqrst" + ", x" * 60),
    ],
    ids=["lines and colours", "ends early", "no UTF-8", "many"],
)
def test_whatever_a_refused_certificate_names_is_told_on_one_short_line(
    names: bytes, told: str, worker_files: Files, producer_files: Files
) -> None:
    """An authority may sign what it is given; a line break is then none in a log, and nothing raises."""
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), der_sequence(names))
    certificate, key = signed(extension)
    producer_files.put("cert", certificate)
    producer_files.put("key", key)
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files, allow_producer=PRODUCER)).settle()
    assert str(talk.error("worker")) == f"its certificate is for {told}, which --allow-producer lacks"


def der_sequence(content: bytes) -> bytes:
    size = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return b"\x30" + size + content


def test_the_names_that_are_told_of_a_refused_certificate_are_few(worker_files: Files, producer_files: Files) -> None:
    certificate, key = certificate_for(*(f"{number}.example" for number in range(500)))
    producer_files.put("cert", certificate)
    producer_files.put("key", key)
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files, allow_producer=PRODUCER)).settle()
    assert len(str(talk.error("worker"))) < SHOWN_NAMES + 60


def test_a_certificate_that_is_only_for_servers_does_not_pass_for_a_producer(
    worker_files: Files, producer_files: Files
) -> None:
    """So no worker of `deploy/components/mtls` can dial another one."""
    certificate, key = certificate_for(PRODUCER, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    producer_files.put("cert", certificate)
    producer_files.put("key", key)
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    assert str(talk.error("worker")) == "the peer's certificate does not hold: unsuitable certificate purpose"


GOODBYE = b"\x15\x03\x03\x00\x02\x01\x00"
"""A close_notify in clear."""


@pytest.mark.parametrize("says", ["worker", "producer"])
def test_a_goodbye_of_tls_is_an_end_and_nothing_that_follows_is_kept(
    says: str, worker_files: Files, producer_files: Files
) -> None:
    """OpenSSL reads no more after it: whatever a peer sent then would stay in memory."""
    sender, receiver = secured_sender(producer_files), secured_receiver(worker_files)
    Talk(sender, receiver).settle()
    peer, end = (receiver, sender) if says == "worker" else (sender, receiver)
    (closed,) = end.receive_data(goodbye_of(peer) + b"\x17\x03\x03\x40\x00", START)
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, PeerClosed)
    assert closed.error.reason is Reason.CUT
    assert end.data_to_send() == []
    kept = end._incoming.pending
    assert end.receive_data(bytes(2**16), START) == []
    assert end._incoming.pending == kept


def goodbye_of(end: SecuredEnd, *lines: bytes) -> bytes:
    """`lines` and a close_notify, but no `#close`."""
    for line in lines:
        end._tls.write(line)
    with suppress(ssl.SSLWantReadError):  # it wants the answer
        end._tls.unwrap()
    return end._outgoing.read()


def test_lines_before_a_goodbye_of_tls_are_heard(worker_files: Files, producer_files: Files) -> None:
    sender = secured_sender(producer_files)
    receiver = Credentials(worker_settings(worker_files)).secure(Receiver(WORKER, now=START, accepts_raw=True))
    Talk(sender, receiver).settle()
    numbers, closed = receiver.receive_data(goodbye_of(sender, b"52\n", b"78\n"), START)
    assert numbers == Numbers(b"52\n78\n", 2)
    assert isinstance(closed, Closed)


def test_a_goodbye_before_the_handshake_is_an_end_too(worker_files: Files, producer_files: Files) -> None:
    for end in (secured_sender(producer_files), secured_receiver(worker_files)):
        (closed,) = end.receive_data(GOODBYE, START)
        assert isinstance(closed, Closed)
        assert isinstance(closed.error, TlsError)
    end = secured_sender(producer_files)
    (closed,) = end.receive_data(GOODBYE, START)
    assert isinstance(closed, Closed)
    assert str(closed.error) == "the peer ended TLS before its handshake was done"


def test_plain_text_from_a_producer_is_told(worker_files: Files) -> None:
    receiver = secured_receiver(worker_files)
    (closed,) = receiver.receive_data(b"52\n78\n and so on", START)
    assert isinstance(closed, Closed)
    assert str(closed.error) == "the peer speaks no TLS: b'52\\n78\\n and so on'"


def test_plain_text_from_a_worker_is_told_by_both(producer_files: Files) -> None:
    talk = Talk(secured_sender(producer_files), a_receiver()).settle()
    assert str(talk.error("producer")).startswith("the peer speaks no TLS: b'#hello randstream/1")
    assert str(talk.error("worker")) == "TLS, where this end speaks plain text: see --tls-cert"


def test_the_handshakes_limit_covers_tls(worker_files: Files) -> None:
    receiver = secured_receiver(worker_files)
    assert receiver.deadline == START + HANDSHAKE_LIMIT
    assert receiver.receive_data(b"\x16\x03\x01", START + 4) == []
    assert receiver.deadline == START + HANDSHAKE_LIMIT
    (closed,) = receiver.handle_timer(receiver.deadline)
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, PeerTimeout)
    assert str(closed.error) == "no TLS handshake within its limit; perhaps the peer speaks plain text"
    assert receiver.data_to_send() == []


def test_a_plain_producer_that_a_secured_worker_lets_wait_hints_at_tls() -> None:
    sender = a_sender()
    (closed,) = sender.handle_timer(sender.deadline)
    assert isinstance(closed, Closed)
    assert str(closed.error) == "nothing heard in state greeting; perhaps the worker waits for TLS"


def test_a_changed_byte_ends_the_connection(worker_files: Files, producer_files: Files) -> None:
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    receiver: Any = talk.receiver
    receiver._end.close(Reason.SHUTDOWN)
    record = bytearray(b"".join(talk.receiver.data_to_send()))
    record[8] ^= 1
    (closed,) = talk.sender.receive_data(bytes(record), START)
    assert isinstance(closed, Closed)
    # OpenSSL's words for it differ between the Pythons.
    assert str(closed.error) in ("TLS: decryption failed or bad record mac", "TLS: record layer failure")


# ---- the files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [["cert"], ["key"], ["ca"], ["cert", "key"], ["cert", "ca"], ["key", "ca"]])
def test_the_three_files_go_together(given: list[str], worker_files: Files) -> None:
    files = {f"tls_{name}": worker_files.settings[f"tls_{name}"] for name in given}
    missing = " and ".join(f"--tls-{name}" for name in ("cert", "key", "ca") if name not in given)
    with pytest.raises(SettingsError, match=f"^{missing} missing; TLS needs --tls-cert, --tls-key and --tls-ca$"):
        WorkerSettings(discard=True, **files)


def test_allowed_producers_need_tls() -> None:
    with pytest.raises(SettingsError, match="--allow-producer is of no use without TLS"):
        WorkerSettings(discard=True, allow_producer="a.example")


@pytest.mark.parametrize("text", ["a.example,", "*.example", "a example"])
def test_what_no_certificate_names_cannot_be_allowed(text: str, worker_files: Files) -> None:
    with pytest.raises(SettingsError, match="give DNS names or URIs as they stand in certificates"):
        worker_settings(worker_files, allow_producer=text)


def test_a_raw_target_cannot_have_tls(producer_files: Files) -> None:
    with pytest.raises(SettingsError, match="raw://b:9000 cannot have TLS"):
        producer_settings(producer_files, workers="a:9000,raw://b:9000")


def test_files_that_cannot_be_used_are_named(worker_files: Files) -> None:
    def complaint() -> str:
        with pytest.raises(SettingsError) as raised:
            Credentials(worker_settings(worker_files))
        assert "\n" not in str(raised.value)
        return str(raised.value)

    good = {name: (worker_files.folder / name).read_bytes() for name in ("cert", "key", "ca")}
    for name, kind in (("cert", "certificate"), ("key", "private key"), ("ca", "certificate")):
        path = worker_files.folder / name
        path.unlink()
        assert complaint() == f"--tls-{name} {path}: cannot read it: No such file or directory"
        path.write_bytes(b"hello")
        assert complaint() == f"--tls-{name} {path}: no {kind} in it; give a PEM file that has one"
        path.write_bytes(good[name][: len(good[name]) // 2])
        assert complaint().startswith(f"--tls-{'cert' if name == 'key' else name} ")
        assert "no PEM that can be used" in complaint()
        path.write_bytes(good[name])
    worker_files.put("key", CA.issue_cert(HOST).private_key_pem.bytes())
    assert "does not belong to --tls-cert" in complaint()


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(worker_files: Files) -> None:
    key: Any = serialization.load_pem_private_key((worker_files.folder / "key").read_bytes(), None)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"secret"))
    worker_files.put("key", locked)
    with pytest.raises(SettingsError, match="has a passphrase"):
        Credentials(worker_settings(worker_files))


def test_an_intermediate_ca_is_enough(tmp_path: Path) -> None:
    intermediate = CA.create_child_ca()
    worker = Files(tmp_path / "worker").write(intermediate.issue_cert(HOST), intermediate)
    producer = Files(tmp_path / "producer").write(intermediate.issue_cert(PRODUCER), intermediate)
    assert Talk(secured_sender(producer), secured_receiver(worker)).settle().heard["producer"] == [Greeted("worker-0")]


def test_files_that_change_are_read_for_the_next_connection_and_only_then(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    worker = Credentials(worker_settings(worker_files))
    producer = Credentials(producer_settings(producer_files))

    def greets() -> bool:
        heard = Talk(producer.secure(a_sender(), HOST), worker.secure(a_receiver())).settle().heard["producer"]
        return heard == [Greeted("worker-0")]

    assert greets()
    assert greets()
    assert log.events == []
    worker_files.write(OTHER_CA.issue_cert(HOST), OTHER_CA, CA)
    assert not greets()
    producer_files.write(OTHER_CA.issue_cert(PRODUCER), OTHER_CA)
    assert greets()
    assert [event["event"] for event in log.events] == ["tls.reloaded"] * 2


def test_files_that_cannot_be_read_any_more_change_nothing_and_are_told_once(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    worker = Credentials(worker_settings(worker_files))
    producer = Credentials(producer_settings(producer_files))
    good = (worker_files.folder / "key").read_bytes()
    for spoil in (lambda: worker_files.put("key", b"half"), (worker_files.folder / "key").unlink):
        spoil()
        for _ in range(3):
            talk = Talk(producer.secure(a_sender(), HOST), worker.secure(a_receiver())).settle()
            assert talk.heard["producer"] == [Greeted("worker-0")]
    assert [event["event"] for event in log.events] == ["tls.unreadable"] * 2
    worker_files.put("key", good)
    worker.secure(a_receiver())
    assert log.events[-1]["event"] == "tls.reloaded"


def test_a_file_that_was_met_half_written_is_read_again_though_the_clock_has_not_moved(
    worker_files: Files, log: Log
) -> None:
    credentials = Credentials(worker_settings(worker_files))
    path = worker_files.folder / "key"
    key = path.read_bytes()
    for text, event in ((key[:100], "tls.unreadable"), (key, "tls.reloaded")):
        path.write_bytes(text)  # in place, as `cp` does
        os.utime(path, (1e9, 1e9))
        credentials.secure(a_receiver())
        assert log.events[-1]["event"] == event


# ---- both roles, on both loops ---------------------------------------------------------------------------------------


async def test_a_stream_over_tls_is_exact(worker_files: Files, producer_files: Files) -> None:
    sink = Memory()
    async with (
        a_worker(sink, **worker_files.settings) as worker,
        producing(worker, rate="max", **producer_files.settings),
    ):
        await sink.wait_count(300_000)
    assert sink.taken == stream().lines(0, sink.count)


async def test_a_producer_of_another_ca_gets_no_stream_and_both_say_why(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    producer_files.write(OTHER_CA.issue_cert(PRODUCER), CA)
    sink = Memory()
    async with a_worker(sink, **worker_files.settings) as worker, producing(worker, **producer_files.settings):
        left = await log.wait("peer.left")
        unreachable = await log.wait("link.unreachable")
    assert (left["reason"], unreachable["reason"]) == ("tls", "tls")
    assert left["error"] == "the peer's certificate does not hold: unable to get local issuer certificate"
    assert unreachable["error"] == "the peer ended TLS: unknown ca"
    assert sink.count == 0
    assert not log.of("link.resumed")


async def test_a_worker_of_another_name_gets_no_stream_and_both_say_why(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    worker_files.write(CA.issue_cert("worker-1.example"), CA)
    async with a_worker(Memory(), **worker_files.settings) as worker, producing(worker, **producer_files.settings):
        left = await log.wait("peer.left")
        unreachable = await log.wait("link.unreachable")
    assert left["error"] == "the peer ended TLS: bad certificate"
    assert "certificate is not valid for '127.0.0.1'" in unreachable["error"]


async def test_the_name_that_was_dialled_is_checked_not_the_address_it_has(
    worker_files: Files, producer_files: Files
) -> None:
    worker_files.write(CA.issue_cert("localhost"), CA)
    sink = Memory()
    async with a_worker(sink, **worker_files.settings) as worker:
        assert worker.address is not None
        async with producing(f"localhost:{worker.address[1]}", **producer_files.settings):
            await sink.wait_count(1)


async def test_a_producer_that_is_not_allowed_waits_long_between_attempts(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    settings = {**worker_files.settings, "allow_producer": ("producer-1.example",)}
    async with a_worker(Memory(), **settings) as worker, producing(worker, **producer_files.settings) as producer:
        unreachable = await log.wait("link.unreachable")
        left = await log.wait("peer.left")
        assert producer.links[0]._backoff._bound == 5.0
    assert (left["reason"], unreachable["reason"]) == ("refused", "refused")


async def test_a_plain_peer_of_a_secured_worker_gets_nothing(worker_files: Files, log: Log) -> None:
    async with a_worker(Memory(), **worker_files.settings) as worker, dialled(worker) as peer:
        peer.say(b"52\n")
        answer = await peer.rest()
        left = await log.wait("peer.left")
    assert b"worker-0" not in answer
    assert left["error"] == "the peer speaks no TLS: b'52\\n'"


async def test_a_secured_producer_tells_a_plain_worker_nothing(producer_files: Files, log: Log) -> None:
    async with a_worker(Memory()) as worker, producing(worker, **producer_files.settings):
        left = await log.wait("peer.left")
        unreachable = await log.wait("link.unreachable")
    assert left["error"] == "TLS, where this end speaks plain text: see --tls-cert"
    assert unreachable["error"].startswith("the peer speaks no TLS: b'#hello")


async def test_certificates_rotated_while_numbers_flow_harm_nothing_and_serve_the_next_connection(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    sink = Memory()
    async with (
        a_worker(sink, **worker_files.settings) as worker,
        producing(worker, **producer_files.settings) as producer,
    ):
        await sink.wait_count(10)
        live = worker.admission.live
        worker_files.write(OTHER_CA.issue_cert(HOST), OTHER_CA)
        producer_files.write(OTHER_CA.issue_cert(PRODUCER), OTHER_CA)
        await sink.wait_count(sink.count + 500)
        assert worker.admission.live is live
        assert not log.of("tls.reloaded")
        assert live is not None
        live.end(Reason.SHUTDOWN, worker.clock.now())
        await log.wait("link.resumed", 4)  # both ends, twice
        await sink.wait_count(sink.count + 10)
        assert len(log.of("tls.reloaded")) == 2
        assert producer.links[0].reconnects == 1
    assert sink.taken == stream().lines(0, sink.count)


async def test_a_slow_reader_behind_tls_stops_the_numbers_not_the_link(
    worker_files: Files, producer_files: Files
) -> None:
    """What waits to be written stays within the write buffer and a run: TLS must not hide the peer's slowness."""
    context = worker_files.context(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    patient = {"rate": "max", "heartbeat_interval": 60, **producer_files.settings}
    async with a_listener() as listener, producing(listener.target, **patient) as producer:
        peer = await listener.peer()
        await speak_until_resumed(peer, SecuredEnd(a_receiver(), context))
        link = producer.links[0]
        connection: Any = await until(lambda: link.session and link.session.connection)
        await until(lambda: not connection.is_writable)
        assert connection.transport.get_write_buffer_size() < 8 * 2**20


async def speak_until_resumed(peer: Peer, end: SecuredEnd) -> None:
    receiver: Any = end._end
    while receiver.offset is None:
        for event in end.receive_data(await peer.reader.read(2**16), START):
            if not isinstance(event, Closed):
                receiver.resume(0, START)
        peer.writer.writelines(end.data_to_send())


async def test_a_producer_that_ends_tls_and_not_the_link_is_a_link_lost(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    async with a_worker(Memory(), **worker_files.settings) as worker, dialled(worker) as peer:
        end = secured_sender(producer_files)
        sender: Any = end._end
        while not log.of("link.resumed"):
            peer.writer.writelines(end.data_to_send())
            for event in end.receive_data(await peer.reader.read(2**16), START):
                if event == Greeted(WORKER):
                    sender.open(stream().id, NUMBERS, first_offset=0, now=START)
        peer.say(goodbye_of(end))
        lost = await log.wait("link.lost")
        assert worker.admission.live is None
    assert (lost["reason"], lost["error"]) == ("cut", "the peer closed the connection: cut")


async def test_half_open_tls_connections_are_closed_at_the_end_of_the_worker(worker_files: Files, log: Log) -> None:
    async with a_worker(Memory(), **worker_files.settings) as worker, dialled(worker) as peer:
        peer.say(b"\x16\x03\x01")
        await until(lambda: worker.admission.present)
        worker.stop()
        assert await peer.rest() == b""
    assert log.of("peer.left")[0]["reason"] == "shutdown"


def test_bad_files_are_one_line_and_status_2(worker_files: Files) -> None:
    worker_files.put("key", CA.issue_cert(HOST).private_key_pem.bytes())
    result = subprocess.run(
        [sys.executable, "-m", "randstream", "worker", "--discard", *worker_files.flags, "--listen", "127.0.0.1:0"],
        capture_output=True, text=True, check=False, env={**os.environ, "RANDSTREAM_LOG_LEVEL": "error"},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "does not belong to --tls-cert" in result.stderr


def test_allowed_producers_are_a_list_and_a_flag_may_be_repeated(
    worker_files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from randstream import service
    from randstream.cli import commands as cli

    seen: list[CommonSettings] = []

    def run_service(make: object, settings: CommonSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(service, "run_service", run_service)
    flags = ["--allow-producer", "A.example,b.example", "--allow-producer", "spiffe://x/Y"]
    assert cli.run(["worker", "--discard", *worker_files.flags, *flags]) == 0
    (settings,) = seen
    assert isinstance(settings, WorkerSettings)
    assert settings.allow_producer == ("a.example", "b.example", "spiffe://x/Y")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
async def test_openssl_s_client_sees_the_greeting(worker_files: Files, producer_files: Files) -> None:
    import asyncio

    paths = {name: str(producer_files.folder / name) for name in ("cert", "key", "ca")}
    async with a_worker(Memory(), **worker_files.settings) as worker:
        assert worker.address is not None
        client = await asyncio.create_subprocess_exec(
            "openssl", "s_client", "-quiet", "-connect", f"{HOST}:{worker.address[1]}", "-cert", paths["cert"],
            "-key", paths["key"], "-CAfile", paths["ca"], "-verify_return_error",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert client.stdout is not None
        assert await client.stdout.readline() == HELLO
        client.kill()
        await client.wait()
