"""X509: whom certificates name and how long they are valid, read from PEM text. It verifies nothing, and never raises.

The standard library tells this only of a CA (`SSLContext.get_ca_certs`) and of a peer.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ..observe.expiry import Certificate

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
# Tags of X.680, 8.6 and RFC 5280, 4.1 and 4.2.1.6.
_VERSION: Final = 0xA0
_EXTENSIONS: Final = 0xA3
_UTC_TIME: Final = 0x17
_DNS_NAME: Final = 0x82
_URI: Final = 0x86
_ATTRIBUTES: Final = {b"\x55\x04\x03": "CN", b"\x55\x04\x0a": "O", b"\x55\x04\x0b": "OU"}
"""Object identifiers of what a subject is mostly made of (RFC 4519)."""
_ALTERNATIVE_NAMES: Final = b"\x55\x1d\x11"


def read_certificates(setting: str, file: str, pem: bytes) -> Iterator[Certificate]:
    """The certificates in the text of `file`, which `setting` names; those that cannot be read are left out."""
    for found in _PEM.finditer(pem):
        try:
            yield Certificate(setting, file, *_read(b64decode(found[1])))
        except (ValueError, IndexError):  # of b64decode, unpacking, strptime
            continue


def _read(der: bytes) -> tuple[str, float, float]:
    """The subject, notBefore and notAfter (RFC 5280, 4.1)."""
    [(_, certificate)] = _elements(der)
    (_, signed), *_ = _elements(certificate)
    fields = [(tag, content) for tag, content in _elements(signed) if tag != _VERSION]
    _serial, _algorithm, _issuer, (_, validity), (_, subject), *others = fields
    not_before, not_after = (_time(tag, text) for tag, text in _elements(validity))
    named = ",".join(_attributes(subject)) or ",".join(
        name for tag, content in others if tag == _EXTENSIONS for name in _alternative_names(content)
    )
    return named, not_before, not_after


def _attributes(subject: bytes) -> Iterator[str]:
    for _, attributes in _elements(subject):
        for _, attribute in _elements(attributes):
            (_, kind), (_, value) = _elements(attribute)
            if kind in _ATTRIBUTES:
                yield f"{_ATTRIBUTES[kind]}={value.decode(errors='replace')}"


def _alternative_names(content: bytes) -> Iterator[str]:
    [(_, extensions)] = _elements(content)
    for _, extension in _elements(extensions):
        (_, kind), *_critical, (_, value) = _elements(extension)
        if kind == _ALTERNATIVE_NAMES:
            [(_, names)] = _elements(value)
            yield from (name.decode(errors="replace") for tag, name in _elements(names) if tag in (_DNS_NAME, _URI))


def _time(tag: int, text: bytes) -> float:
    """Seconds since 1970 (RFC 5280, 4.1.2.5)."""
    digits = text.decode()
    if tag == _UTC_TIME:
        digits = ("20" if digits < "50" else "19") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and the content of each element (X.690, 8.1.2 to 8.1.4, 10.1). A certificate has only one-byte tags."""
    while der:
        tag, size, start = der[0], der[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(der[2:start])
        yield tag, der[start : start + size]
        der = der[start + size :]
