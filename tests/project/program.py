"""Program: a Python program of the documentation, as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def a_program(text: str, port: int, folder: Path) -> Iterator[Path]:
    """Run `text` on `port` instead of 9000 until the block ends; gives the file that its output goes to."""
    out = folder / "out.txt"
    python = [sys.executable, "-uc", text.replace(":9000", f":{port}")]
    with out.open("wb") as file, subprocess.Popen(python, cwd=folder, stdout=file) as process:
        try:
            yield out
        finally:
            process.kill()
