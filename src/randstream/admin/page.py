"""Page: the live page as it is sent: one file, and a policy under which nothing but what is in it can run."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final


@dataclass(frozen=True, slots=True)
class Page:
    """A body and the headers that belong to it."""

    body: bytes
    headers: dict[str, str]


def load_page() -> Page:
    """Read `page.html`, and allow its own script and style by their hashes."""
    body = (files(__package__) / "page.html").read_bytes()
    policy = (
        f"default-src 'none'; script-src {_hash_of(b'script', body)}; style-src {_hash_of(b'style', body)}; "
        "img-src data:; "  # the icon
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Page(body, {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy})


def _hash_of(element: bytes, body: bytes) -> str:
    """What the policy calls the one inline `element`."""
    [content] = re.findall(rb"<%b>(.*?)</%b>" % (element, element), body, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content).digest()).decode()}'"


PAGE: Final = load_page()
