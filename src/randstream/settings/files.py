"""Files that settings name: the only module of settings that does I/O."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

from .checks import shorten

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, 2.1."""


def read_text(path: str) -> str:
    """The text of a file; `-` is standard input. Raises ValueError: it cannot be read, or is not UTF-8."""
    what = "standard input" if path == "-" else shorten(path)
    try:
        if path != "-":
            return Path(path).read_bytes().decode()
        if sys.stdin is None:
            raise ValueError("standard input is closed; give a file")
        return sys.stdin.buffer.read().decode()
    except OSError as error:
        raise ValueError(f"cannot read {what}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8 text; give a text file") from None


def read_token(path: str) -> str:
    """The token in a file, its only line. Raises ValueError: it cannot be read, or is not a token."""
    token = read_text(path).strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"no token in {shorten(path)}; give a line of letters, digits and any of -._~+/=")
    return token
