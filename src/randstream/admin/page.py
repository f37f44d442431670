"""Page: the live page as it is sent: one file, and a policy under which only its own code can run."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

LIVE: Final = files(__package__) / "live"
"""`page.html` and the files it names: its style, and its scripts in order, which share one scope."""


@dataclass(frozen=True, slots=True)
class Page:
    """A body and its headers."""

    body: bytes
    headers: dict[str, str]


def load_page() -> Page:
    """Put style and scripts into `page.html`, and allow only them, by their hashes."""
    body = (LIVE / "page.html").read_text("utf-8")
    body = re.sub(r'<link rel="stylesheet" href="(.+?)">', lambda found: f"<style>\n{_read(found)}</style>", body)
    body = re.sub(r'<script src="(.+?)"></script>', lambda found: f"<script>\n{_read(found)}</script>", body)
    policy = (
        f"default-src 'none'; script-src {_hashes_of('script', body)}; style-src {_hashes_of('style', body)}; "
        "img-src data:; "  # the icon
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    return Page(body.encode(), headers)


def _read(name: re.Match[str]) -> str:
    return (LIVE / name[1]).read_text("utf-8")


def _hashes_of(element: str, body: str) -> str:
    """The policy's names for each inline `element`: the hashes."""
    contents = re.findall(rf"<{element}>(.*?)</{element}>", body, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'" for content in contents)


PAGE: Final = load_page()
