"""Keys: a terminal's bytes as keys. Pure.

Source: ECMA-48 5.4 (control sequences), and the keys of xterm, rxvt, tmux and the Linux console.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

_KEY: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[ -~]|[^\x1b]|\x1b(?!\[[0-?]*[ -/]*\Z|O?\Z)")
_NAMES: Final = {
    **dict.fromkeys(("\x1b[A", "\x1bOA"), "up"),
    **dict.fromkeys(("\x1b[B", "\x1bOB"), "down"),
    **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"), "home"),
    **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"), "end"),
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    **dict.fromkeys(("\r", "\n"), "enter"),
    **dict.fromkeys(("\x7f", "\b"), "backspace"),
    "\x15": "clear",
    "\x1b": "escape",
}
LONGEST_SEQUENCE: Final = 32
"""Characters. No key's is longer, and what is does not wait for its end."""


class Keys:
    """Bytes in, names of keys out: those of `_NAMES`, and characters as themselves. Other keys are left out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def is_pending(self) -> bool:
        """Whether what has come may be the Escape key, or the start of another one."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[str]:
        """The keys that `data` ends."""
        text = self._rest + self._decoder.decode(data)
        keys, end = [], 0
        while found := _KEY.match(text, end):
            keys.append(found[0])
            end = found.end()
        self._rest = text[end:]
        if len(self._rest) > LONGEST_SEQUENCE:
            self._rest = ""
        return _named(keys)

    def flush(self) -> list[str]:
        """The key that is pending, if nothing more comes: Escape, and no other."""
        pending, self._rest = self._rest, ""
        return ["escape"] if pending else []


def _named(keys: list[str]) -> list[str]:
    return [_NAMES.get(key, key) for key in keys if key in _NAMES or key.isprintable()]
