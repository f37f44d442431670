"""X509: it reads what cryptography has written, and of anything else nothing."""

from __future__ import annotations

from base64 import encodebytes
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.net.certificates import CA, HOST

from randstream.net.x509 import read_certificates
from randstream.observe.expiry import Certificate

KEY = ec.generate_private_key(ec.SECP256R1())
RSA = trustme.KeyType.RSA
NOW = datetime(2026, 11, 29, 9, 3, 4, tzinfo=UTC)


def made(
    *,
    subject: Iterable[tuple[x509.ObjectIdentifier, str]] = (),
    names: Iterable[x509.GeneralName] = (),
    start: datetime = NOW,
    end: datetime = NOW + timedelta(days=90),
) -> bytes:
    """A certificate as PEM, with an extension before and one after that of its `names`."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(*each) for each in subject]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the issuer")]))
        .public_key(KEY.public_key())
        .serial_number(2**150)
        .not_valid_before(start.replace(tzinfo=None))
        .not_valid_after(end.replace(tzinfo=None))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def read(pem: bytes) -> list[Certificate]:
    return list(read_certificates("tls-cert", "cert.pem", pem))


@pytest.mark.parametrize("leaf", [CA.issue_cert(HOST), CA.issue_cert("a.example", common_name="a", key_type=RSA)])
def test_trustmes_certificates_are_read_as_cryptography_reads_them(leaf: trustme.LeafCert) -> None:
    for pem in (leaf.cert_chain_pems[0].bytes(), CA.cert_pem.bytes()):
        known = x509.load_pem_x509_certificate(pem)
        [found] = read(pem)
        assert (found.setting, found.file) == ("tls-cert", "cert.pem")
        assert found.not_before == known.not_valid_before_utc.timestamp()
        assert found.not_after == known.not_valid_after_utc.timestamp()
        assert found.subject == ",".join(attribute.rfc4514_string() for attribute in known.subject)


@pytest.mark.parametrize("year", [1950, 1969, 1999, 2049, 2050, 9999])  # the last two are GeneralizedTime
def test_both_spellings_of_a_time_are_read(year: int) -> None:
    end = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    [found] = read(made(start=datetime(1950, 1, 1, tzinfo=UTC), end=end))
    assert found.not_after == end.timestamp()
    assert found.not_before == datetime(1950, 1, 1, tzinfo=UTC).timestamp()


def test_a_subject_has_its_usual_parts_and_leaves_out_the_others() -> None:
    subject = [(NameOID.COUNTRY_NAME, "FR"), (NameOID.ORGANIZATION_NAME, "Ünits, Ltd"), (NameOID.COMMON_NAME, "w" * 64)]
    names = [x509.DNSName("a.example")]
    assert [each.subject for each in read(made(subject=subject, names=names))] == [f"O=Ünits, Ltd,CN={'w' * 64}"]


def test_without_a_subject_as_cert_manager_makes_them_the_names_stand_for_it() -> None:
    names = [
        x509.DNSName("*.worker.example"),
        x509.RFC822Name("a@b.example"),
        x509.UniformResourceIdentifier("spiffe://x/Y"),
    ]
    assert [each.subject for each in read(made(names=names))] == ["*.worker.example,spiffe://x/Y"]
    assert [each.subject for each in read(made())] == [""]


def test_every_certificate_of_a_file_is_read_and_one_that_is_damaged_is_left_out() -> None:
    good = made()
    bad = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    text = b"a comment\n" + good + bad + b"\r\n" + CA.cert_pem.bytes() + good[:200]
    assert read(text) == read(good) + read(CA.cert_pem.bytes())


GOOD = x509.load_pem_x509_certificate(made(names=[x509.DNSName("a.example")])).public_bytes(Encoding.DER)


@given(at=st.integers(0, len(GOOD) - 1), octet=st.integers(0, 255), size=st.integers(0, len(GOOD)))
def test_a_damaged_certificate_raises_nothing(at: int, octet: int, size: int) -> None:
    damaged = GOOD[:at] + bytes([octet]) + GOOD[at + 1 :]
    for der in (damaged, damaged[:size]):
        assert len(read(b"-----BEGIN CERTIFICATE-----" + encodebytes(der) + b"-----END CERTIFICATE-----")) <= 1


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_and_is_no_certificate(text: bytes) -> None:
    assert read(text) == []
    assert read(b"-----BEGIN CERTIFICATE-----" + text + b"-----END CERTIFICATE-----") == []
    assert read(b"-----BEGIN CERTIFICATE-----" + encodebytes(text) + b"-----END CERTIFICATE-----") == []
