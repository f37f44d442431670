"""Pem: certificates and keys from files, with errors that say what is missing in which file. OpenSSL's do not."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from ..errors import SettingsError

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = b"PRIVATE KEY-----"


def load_pair(context: ssl.SSLContext, flags: tuple[str, str], paths: tuple[str, str]) -> None:
    """Have `context` present the certificate in the first file, whose key is in the second.

    Raises SettingsError, which names the file by its flag.
    """
    (cert_flag, key_flag), (cert, key) = flags, paths
    _require(cert_flag, cert, _CERTIFICATE)
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


def load_authorities(context: ssl.SSLContext, flag: str, path: str) -> None:
    """Have `context` trust exactly the certificates in the file, which may be intermediate ones or a peer's own.

    Raises SettingsError, which names the file by its flag.
    """
    _require(flag, path, _CERTIFICATE)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(path)
    except OSError:
        raise SettingsError(f"{flag} {path}: no usable PEM; give intact files") from None


def _require(flag: str, path: str, mark: bytes) -> None:
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"{flag} {path}: cannot read it: {error.strerror}") from None
    if mark not in text:
        what = "private key" if mark == _KEY else "certificate"
        raise SettingsError(f"{flag} {path}: no {what} in it; give a PEM file that has one")
