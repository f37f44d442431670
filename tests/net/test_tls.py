"""TLS: which peers are let in, and what both ends report. Two ends and the bytes between them, without a loop."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.net.certificates import (
    CA,
    EXPIRED,
    HOST,
    OTHER_CA,
    PRODUCER,
    Files,
    Talk,
    a_producer_by_hand,
    a_receiver,
    a_worker_by_hand,
    producer_settings,
    secured_receiver,
    secured_sender,
    worker_settings,
)
from tests.protocol.network import DISTRIBUTION, HELLO, START, STREAM, WORKER, a_sender, repeatable

from randstream.clock import Clock
from randstream.errors import (
    PeerClosed,
    PeerTimeout,
    Reason,
    RemoteProtocolError,
    TlsError,
    is_transient,
)
from randstream.net.credentials import Credentials
from randstream.net.tls import SHOWN_NAMES, SecuredEnd
from randstream.protocol import HANDSHAKE_LIMIT
from randstream.protocol.events import Closed, Greeted, Opened
from randstream.protocol.frames import Numbers
from randstream.protocol.receiver import Receiver
from randstream.protocol.sender import Sender

DAY = datetime.timedelta(days=1)


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
    peer = a_producer_by_hand(producer_files)
    Talk(peer, secured_receiver(worker_files)).settle()
    session = peer.tls.session
    assert session is None or not session.has_ticket


def test_nothing_that_the_ends_say_is_on_the_wire_in_clear(worker_files: Files, producer_files: Files) -> None:
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    assert b"worker-0" not in talk.wire
    assert b"#" + HELLO[1:6] not in talk.wire


def test_tls_survives_any_slicing(tmp_path_factory: pytest.TempPathFactory) -> None:
    worker_files = Files(tmp_path_factory.mktemp("w")).write(CA.issue_cert(HOST, WORKER), CA)
    producer_files = Files(tmp_path_factory.mktemp("p")).write(CA.issue_cert(PRODUCER), CA)
    worker = Credentials(worker_settings(worker_files), Clock())
    producer = Credentials(producer_settings(producer_files), Clock())

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
"""Spoil the worker's or the producer's files; return whose certificate is at fault, and what its peer finds."""


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
    assert str(talk.error(judge)).startswith("the peer's certificate is not valid: ")
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


@pytest.mark.parametrize("allowed", ["spiffe://cluster/Producer", "other.example,PRODUCER-0.example"])
def test_an_allowed_producer_is_heard(allowed: str, worker_files: Files, two_names: Files) -> None:
    talk = Talk(secured_sender(two_names), secured_receiver(worker_files, allow_producer=allowed)).settle()
    assert talk.heard["producer"] == [Greeted("worker-0")]


@pytest.mark.parametrize("allowed", ["producer-0.exampl", "spiffe://cluster/producer", "example", HOST])
def test_a_producer_that_is_not_allowed_is_refused_and_told_so(
    allowed: str, worker_files: Files, two_names: Files
) -> None:
    talk = Talk(secured_sender(two_names), secured_receiver(worker_files, allow_producer=allowed)).settle()
    judged, told = talk.error("worker"), talk.error("producer")
    assert isinstance(judged, RemoteProtocolError)
    assert isinstance(told, PeerClosed)
    assert judged.reason is told.reason is Reason.REFUSED
    assert str(judged) == (
        "its certificate is for producer-0.example, spiffe://cluster/Producer, which --allow-producer lacks"
    )


def test_a_worker_that_gives_a_name_its_certificate_lacks_is_refused(
    worker_files: Files, producer_files: Files
) -> None:
    worker_files.write(CA.issue_cert(HOST, "worker-1.example", "my-worker-0.example"), CA)
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    judged, told = talk.error("producer"), talk.error("worker")
    assert isinstance(judged, RemoteProtocolError)
    assert isinstance(told, PeerClosed)
    assert judged.reason is told.reason is Reason.REFUSED
    assert str(judged) == (
        "it calls itself worker-0, but its certificate is for worker-1.example, my-worker-0.example; allow it with"
        " --allow-worker"
    )


@pytest.mark.parametrize("names", [("WORKER-0",), ("worker-0.ns.svc",), ("*.ns.svc",), ("else.example", "worker-0.a")])
def test_a_name_or_the_first_label_of_one_is_the_workers(
    names: tuple[str, ...], worker_files: Files, producer_files: Files
) -> None:
    worker_files.write(CA.issue_cert(HOST, *names), CA)
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    assert talk.heard["producer"] == [Greeted("worker-0")]


@pytest.mark.parametrize(("allowed", "is_heard"), [("pool.example", True), ("worker-0", False), ("ool.example", False)])
def test_allowed_workers_may_call_themselves_what_they_like_and_no_others(
    allowed: str, is_heard: bool, worker_files: Files, producer_files: Files
) -> None:
    worker_files.write(CA.issue_cert(HOST, "pool.example"), CA)
    producer = Credentials(producer_settings(producer_files, allow_worker=allowed), Clock()).secure(a_sender(), HOST)
    talk = Talk(producer, secured_receiver(worker_files)).settle()
    assert (talk.heard["producer"] == [Greeted("worker-0")]) == is_heard


@pytest.mark.parametrize(("name", "is_heard"), [("producer-0", True), ("producer-1", False)])
def test_where_producers_are_named_each_opens_with_a_name_of_its_certificate(
    name: str, is_heard: bool, worker_files: Files, producer_files: Files
) -> None:
    sender = Sender(producer=name, heartbeat=1.0, now=START)
    secured = Credentials(producer_settings(producer_files), Clock()).secure(sender, HOST)
    talk = Talk(secured, secured_receiver(worker_files, allow_producer=PRODUCER)).settle()
    sender.open(STREAM, DISTRIBUTION, first_offset=0, now=START)
    talk.settle()
    assert isinstance(talk.heard["worker"][-1], Opened) == is_heard
    if not is_heard:
        assert str(talk.error("worker")) == "it calls itself producer-1, but its certificate is for producer-0.example"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (b"\x82\x0aa\x1b[31m\r\nbc", "a\\x1b[31m\\r\\nbc"),
        (b"\x82\x16producer-0.example\x00abc", "producer-0.example\\x00abc"),
        (b"\x82\x03a\xff\xfe", "nobody"),
        (b"\x82\x14" + b"abcdefghijklmnopqrst" + b"\x82\x01x" * 60, "abcdefghijklmnopqrst" + ", x" * 60),
    ],
    ids=["lines and colours", "ends early", "no UTF-8", "many"],
)
def test_whatever_a_refused_certificate_names_is_told_on_one_short_line(
    names: bytes, told: str, worker_files: Files, producer_files: Files
) -> None:
    """A CA may sign anything; a line break in a name must not reach a log as one, and nothing raises."""
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
    """So no worker of `deploy/components/mtls-cert-manager` can dial another one."""
    certificate, key = certificate_for(PRODUCER, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    producer_files.put("cert", certificate)
    producer_files.put("key", key)
    talk = Talk(secured_sender(producer_files), secured_receiver(worker_files)).settle()
    assert str(talk.error("worker")) == "the peer's certificate is not valid: unsuitable certificate purpose"


GOODBYE = b"\x15\x03\x03\x00\x02\x01\x00"
"""A close_notify in clear."""


@pytest.mark.parametrize("says", ["worker", "producer"])
def test_a_goodbye_of_tls_is_an_end_and_nothing_that_follows_is_kept(
    says: str, worker_files: Files, producer_files: Files
) -> None:
    """OpenSSL reads no more after it: whatever a peer sent then would stay in memory."""
    if says == "worker":
        peer, end = a_worker_by_hand(worker_files), secured_sender(producer_files)
        Talk(end, peer).settle()
    else:
        peer, end = a_producer_by_hand(producer_files), secured_receiver(worker_files)
        Talk(peer, end).settle()
    (closed,) = end.receive_data(peer.goodbye() + b"\x17\x03\x03\x40\x00", START)
    assert isinstance(closed, Closed)
    assert isinstance(closed.error, PeerClosed)
    assert closed.error.reason is Reason.CUT
    assert end.data_to_send() == []
    kept = end._incoming.pending  # OpenSSL's memory, which nothing else shows
    assert end.receive_data(bytes(2**16), START) == []
    assert end._incoming.pending == kept


def test_lines_before_a_goodbye_of_tls_are_heard(worker_files: Files, producer_files: Files) -> None:
    peer = a_producer_by_hand(producer_files)
    receiver = Credentials(worker_settings(worker_files), Clock()).secure(Receiver(WORKER, now=START, accepts_raw=True))
    Talk(peer, receiver).settle()
    numbers, closed = receiver.receive_data(peer.goodbye(b"52\n", b"78\n"), START)
    assert numbers == Numbers(b"52\n78\n", 2)
    assert isinstance(closed, Closed)


def test_a_goodbye_of_tls_ends_a_raw_peers_last_line_and_a_fin_alone_does_not(
    worker_files: Files, producer_files: Files
) -> None:
    for ends_tls in (True, False):
        peer = a_producer_by_hand(producer_files)
        receiver = Credentials(worker_settings(worker_files), Clock()).secure(
            Receiver(WORKER, now=START, accepts_raw=True)
        )
        Talk(peer, receiver).settle()
        said = peer.goodbye(b"52\n", b"78")
        if ends_tls:
            *numbers, _closed = receiver.receive_data(said, START)
            assert numbers == [Numbers(b"52\n", 1), Numbers(b"78\n", 1)]
        else:
            assert receiver.receive_data(said[: said.rfind(b"\x17\x03\x03")], START) == [Numbers(b"52\n", 1)]
            assert receiver.receive_eof(START) == []


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
    assert str(closed.error) == "the peer does not speak TLS: b'52\\n78\\n and so on'"


def test_plain_text_from_a_worker_is_told_by_both(producer_files: Files) -> None:
    talk = Talk(secured_sender(producer_files), a_receiver()).settle()
    assert str(talk.error("producer")).startswith("the peer does not speak TLS: b'#hello randstream/1")
    assert str(talk.error("worker")) == "TLS, but this end speaks plain text: see --tls-cert"


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


def test_a_silent_worker_is_not_thought_to_speak_plain_text(producer_files: Files) -> None:
    sender = secured_sender(producer_files)
    (closed,) = sender.handle_timer(sender.deadline)
    assert isinstance(closed, Closed)
    assert str(closed.error) == "no TLS handshake within its limit"


def test_a_changed_byte_ends_the_connection(worker_files: Files, producer_files: Files) -> None:
    receiver = a_receiver()
    secured = Credentials(worker_settings(worker_files), Clock()).secure(receiver)
    talk = Talk(secured_sender(producer_files), secured).settle()
    receiver.close(Reason.SHUTDOWN)
    record = bytearray(b"".join(talk.receiver.data_to_send()))
    record[8] ^= 1
    (closed,) = talk.sender.receive_data(bytes(record), START)
    assert isinstance(closed, Closed)
    # OpenSSL's words for it differ between the Pythons.
    assert str(closed.error) in ("TLS: decryption failed or bad record mac", "TLS: record layer failure")
