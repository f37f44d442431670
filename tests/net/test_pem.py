"""Pem: files that cannot be used are named by the flag that named them, and what they lack is told."""

from __future__ import annotations

import ssl

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


def test_what_is_wrong_with_a_pair_is_told_of_the_file_that_it_is_wrong_with(worker_files: Files) -> None:
    cert, key = worker_files.folder / "cert", worker_files.folder / "key"
    good = key.read_bytes()
    key.write_bytes(b"hello")
    assert complaint(worker_files) == f"--b {key}: no private key in it; give a PEM file that has one"
    key.write_bytes(good[: len(good) // 2])
    assert complaint(worker_files) == f"--a {cert} and --b {key}: no PEM that can be used; give intact files"
    key.write_bytes(CA.issue_cert(HOST).private_key_pem.bytes())
    assert complaint(worker_files) == f"--b {key} does not belong to --a {cert}; give the pair"
    cert.unlink()
    assert complaint(worker_files) == f"--a {cert}: cannot read it: No such file or directory"


def test_what_is_wrong_with_authorities_is_told(worker_files: Files) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca, key = worker_files.folder / "ca", worker_files.folder / "key"
    load_authorities(context, "--ca", str(ca))
    with pytest.raises(SettingsError, match=rf"^--ca {key}: no certificate in it"):
        load_authorities(context, "--ca", str(key))
    ca.write_bytes(ca.read_bytes()[:200])
    with pytest.raises(SettingsError, match=rf"^--ca {ca}: no PEM that can be used"):
        load_authorities(context, "--ca", str(ca))
