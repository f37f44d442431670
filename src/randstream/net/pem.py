"""Pem: certificates and keys from files, with errors that say what is missing in which file. OpenSSL's do not."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import SettingsError
from ..observe.expiry import Certificate
from .x509 import read_certificates

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = b"PRIVATE KEY-----"


class Loaded(NamedTuple):
    """A context, and the certificates that end the use of its files."""

    context: ssl.SSLContext
    certificates: list[Certificate]


def load_pair(context: ssl.SSLContext, flags: tuple[str, str], paths: tuple[str, str]) -> list[Certificate]:
    """Have `context` present the certificate in the first file, whose key is in the second.

    Returns, if it can be read, the one that expires first: all in the file are presented. Raises SettingsError, which
    names the file by its flag.
    """
    (cert_flag, key_flag), (cert, key) = flags, paths
    text = _require(cert_flag, cert, _CERTIFICATE)
    _require(key_flag, key, _KEY)

    def refuse_passphrase() -> str:
        """Raise, where OpenSSL would ask on the terminal and wait."""
        raise SettingsError(f"the key in {key_flag} has a passphrase, which is never asked for; give a key without one")

    try:
        context.load_cert_chain(cert, key, password=refuse_passphrase)
    except OSError as error:  # ssl.SSLError is one
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            why = f"{key_flag} {key} does not belong to {cert_flag} {cert}; give a matching pair"
            raise SettingsError(why) from None
        raise SettingsError(f"{cert_flag} {cert} and {key_flag} {key}: no usable PEM; give intact files") from None
    return _by_end(cert_flag, cert, text)[:1]


def load_authorities(context: ssl.SSLContext, flag: str, path: str) -> list[Certificate]:
    """Have `context` trust exactly the certificates in the file, which may be intermediate ones or a peer's own.

    Returns, if it can be read, the one that expires last: others may be there until their successor is used everywhere.
    Raises SettingsError, which names the file by its flag.
    """
    text = _require(flag, path, _CERTIFICATE)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(path)
    except OSError:
        raise SettingsError(f"{flag} {path}: no usable PEM; give intact files") from None
    return _by_end(flag, path, text)[-1:]


def _by_end(flag: str, path: str, text: bytes) -> list[Certificate]:
    return sorted(read_certificates(flag.lstrip("-"), path, text), key=lambda each: each.not_after)


def _require(flag: str, path: str, mark: bytes) -> bytes:
    """The content of the file, which has `mark` in it."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{flag} {path}: cannot read it: {error.strerror}") from None
    if mark not in text:
        what = "private key" if mark == _KEY else "certificate"
        raise SettingsError(f"{flag} {path}: no {what} in it; give a PEM file that has one")
    return text
