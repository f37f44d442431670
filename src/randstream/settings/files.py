"""Files that settings name: the only module of settings that does I/O."""

from __future__ import annotations

import sys
from pathlib import Path

from .checks import shorten


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
