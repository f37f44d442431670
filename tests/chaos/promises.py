"""Promises: finds the offsets that a worker promises, and its `#close`, in the bytes that it writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_PROMISE: Final = re.compile(rb"#(resume|ack|wait)(?: by=[^ ]+)? offset=([0-9]{1,19})(?: |$)")
_CLOSE: Final = re.compile(rb"#close reason=([a-z-]+)")


class Promises:
    """Reports each `#resume`, `#ack` and `#wait` with its offset, and the reason of a `#close`."""

    def __init__(self, tell: Callable[[str, int], None], tell_close: Callable[[str], None] = lambda _: None) -> None:
        self._tell = tell
        self._tell_close = tell_close
        self._tail = b""

    def read(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            if promise := _PROMISE.match(line):
                self._tell(promise[1].decode(), int(promise[2]))
            elif close := _CLOSE.fullmatch(line):
                self._tell_close(close[1].decode())
