"""Console: the commands of a page's console blocks, with what each shows."""

from __future__ import annotations

import re
from pathlib import Path


def commands(page: Path) -> list[tuple[str, str]]:
    """Every command of `page` that follows a `$`, in order, and the lines below it."""
    blocks = re.findall(r"^```console\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    parts = [part.split("\n", 1) for block in blocks for part in block.split("$ ")[1:]]
    return [(command, shown) for command, shown in parts]
