"""Pem: an unusable file is named by its flag, with what is missing in it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
from tests.net.certificates import CA, HOST, Files

from randstream.errors import SettingsError
from randstream.net.pem import load_authorities, load_pair


def complaint(files: Files) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(SettingsError) as raised:
        load_pair(context, ("--a", "--b"), (str(files.folder / "cert"), str(files.folder / "key")))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_an_unusable_pair_is_blamed_on_the_right_file(worker_files: Files) -> None:
    cert, key = worker_files.folder / "cert", worker_files.folder / "key"
    good = key.read_bytes()
    key.write_bytes(b"hello")
    assert complaint(worker_files) == f"--b {key}: no private key in it; give a PEM file that has one"
    key.write_bytes(good[: len(good) // 2])
    assert complaint(worker_files) == f"--a {cert} and --b {key}: no usable PEM; give intact files"
    key.write_bytes(CA.issue_cert(HOST).private_key_pem.bytes())
    assert complaint(worker_files) == f"--b {key} does not belong to --a {cert}; give a matching pair"
    cert.unlink()
    assert complaint(worker_files) == f"--a {cert}: cannot read it: No such file or directory"


def test_unusable_authorities_are_named(worker_files: Files) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca, key = worker_files.folder / "ca", worker_files.folder / "key"
    load_authorities(context, "--ca", str(ca))
    with pytest.raises(SettingsError, match=rf"^--ca {key}: no certificate in it"):
        load_authorities(context, "--ca", str(key))
    ca.write_bytes(ca.read_bytes()[:200])
    with pytest.raises(SettingsError, match=rf"^--ca {ca}: no usable PEM"):
        load_authorities(context, "--ca", str(ca))


def test_of_a_chain_the_first_to_expire_counts_and_of_authorities_the_last(worker_files: Files) -> None:
    def leaf(year: int) -> bytes:
        return CA.issue_cert(HOST, not_after=datetime(year, 1, 1, tzinfo=UTC)).cert_chain_pems[0].bytes()

    presented, key = CA.issue_cert(HOST), worker_files.folder / "key"
    worker_files.write(presented, CA)
    cert, ca = worker_files.folder / "cert", worker_files.folder / "ca"
    worker_files.put("cert", presented.cert_chain_pems[0].bytes() + leaf(2028) + leaf(2026))
    worker_files.put("ca", leaf(2027) + leaf(2029) + leaf(2026))
    [first] = load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ("--a", "--b"), (str(cert), str(key)))
    [last] = load_authorities(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "--c-ca", str(ca))
    assert (first.setting, first.file, datetime.fromtimestamp(first.not_after, UTC).year) == ("a", str(cert), 2026)
    assert (last.setting, last.file, datetime.fromtimestamp(last.not_after, UTC).year) == ("c-ca", str(ca), 2029)
