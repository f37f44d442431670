"""Promises: picks what a worker promises out of the bytes that it writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_PROMISE: Final = re.compile(rb"^#(resume|ack) offset=([0-9]{1,19})(?: |$)")


class Promises:
    """Picks the `#resume` and `#ack` lines out of what a worker writes."""

    def __init__(self, tell: Callable[[str, int], None]) -> None:
        self._tell = tell
        self._tail = b""

    def read(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            if promise := _PROMISE.match(line):
                self._tell(promise[1].decode(), int(promise[2]))
