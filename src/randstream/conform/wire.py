"""Lines, as this suite reads and writes them. It knows the grammar of what a peer may send, and checks it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import google_crc32c

NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_OFFSET: Final = r"(?:0|[1-9][0-9]{0,18})"
_WORD: Final = r"[a-z][a-z-]{0,31}"
MAX_OFFSET: Final = 2**63 - 1

_GRAMMAR: Final[dict[str, dict[str, tuple[str, bool]]]] = {
    "#hello": {"worker": (NAME, True)},
    "#open": {
        "worker": (NAME, True),
        "stream": (r"[0-9a-f]{16}", True),
        "numbers": (r"[a-z0-9]+(?::[0-9.e+-]+)*", True),
        "producer": (NAME, True),
        "heartbeat": (r"[0-9]{1,2}(?:\.[0-9]{1,3})?", True),
        "instance": (r"[0-9a-f]{16}", False),
        "check": (r"[0-9a-f]{8}", True),
    },
    "#wait": {"by": (NAME, False), "offset": (_OFFSET, False), "stream": (r"[0-9a-f]{16}", False)},
    "#resume": {"offset": (_OFFSET, False), "after": (_WORD, False)},
    "#beat": {"offset": (_OFFSET, True), "crc": (r"[0-9a-f]{8}", True), "t": (r"[0-9]{1,20}", True)},
    "#ack": {"offset": (_OFFSET, True), "t": (r"[0-9]{1,20}", False)},
    "#close": {"reason": (_WORD, True)},
}
"""The keys of each verb: the grammar of each, and whether it is required."""
_NUMBERS: Final = re.compile(rb"(?:[0-9-][0-9.e+-]{0,62}\n)*")


@dataclass(frozen=True, slots=True)
class Line:
    """One control line without its LF, and when it came. `fault`: how it breaks the grammar, else empty."""

    text: str
    at: float
    verb: str
    keys: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    def __str__(self) -> str:
        return self.text + (f" ({self.fault})" if self.fault else "")

    def number(self, key: str) -> int:
        """The value of `key`; -1 if it is missing."""
        return int(self.keys.get(key, "-1"))


@dataclass(frozen=True, slots=True)
class Run:
    """Whole number lines that came together. `fault`: what is not a number line, else empty."""

    lines: bytes
    at: float
    fault: str = ""

    def __str__(self) -> str:
        return self.fault or f"numbers ({self.lines[:20]!r}...)"

    @property
    def count(self) -> int:
        return self.lines.count(b"\n")


@dataclass(frozen=True, slots=True)
class End:
    """The peer ended the connection."""

    at: float
    how: str = "the end of the connection, without a word"

    def __str__(self) -> str:
        return self.how


Item = Line | Run | End


def read_control_line(raw: bytes, at: float) -> Line:
    """Read and check one control line, given without its LF."""
    if len(raw) > 511:
        return Line(raw[:80].decode("latin-1"), at, "", fault=f"a control line of {len(raw) + 1} bytes")
    text = raw.decode("latin-1")
    verb, *words = text.split(" ")
    if not raw.isascii() or "\r" in text:
        return Line(text, at, verb, fault="not ASCII ended by LF")
    if verb == "#" and words:  # a comment, which only raw peers get
        return Line(text, at, verb)
    if verb not in _GRAMMAR:
        return Line(text, at, verb, fault="an unknown verb")
    if verb == "#hello" and (not words or words.pop(0) != "randstream/1"):
        return Line(text, at, verb, fault="not the version randstream/1")
    keys: dict[str, str] = {}
    fault = ""
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals and value):
            fault = fault or f"{word!r} is not key=value"
        elif key in keys:
            fault = fault or f"{key} is repeated"
        keys[key] = value
    return Line(text, at, verb, keys, fault or _fault_of(verb, text, keys))


def _fault_of(verb: str, text: str, keys: dict[str, str]) -> str:
    for key, (pattern, is_required) in _GRAMMAR[verb].items():
        if key not in keys:
            if is_required:
                return f"no {key}"
        elif not re.fullmatch(pattern, keys[key]):
            return f"an ill-formed {key}"
    if int(keys.get("offset", "0")) > MAX_OFFSET:
        return "an offset past 2^63-1"
    if verb == "#open":
        if not 0.05 <= float(keys["heartbeat"]) <= 60:
            return "a heartbeat out of bounds"
        if text != with_check(text.rpartition(" check=")[0]):
            return "check is not the last key, or is wrong"
    return ""


def read_numbers(lines: bytes, at: float) -> Run:
    """Read and check number lines, all ended by LF."""
    if _NUMBERS.fullmatch(lines):
        return Run(lines, at)
    faulty = (line for line in lines.split(b"\n") if not re.fullmatch(rb"[0-9-][0-9.e+-]{0,62}", line))
    bad = next(faulty, lines + b"#")
    return Run(lines, at, f"not a number line: {bad[:80]!r}")


def crc32c(data: bytes, crc: int = 0) -> int:
    """Extend `crc`, a CRC-32C, by `data`."""
    extended: int = google_crc32c.extend(crc, data)
    return extended


def with_check(text: str) -> str:
    """Add the `check` to `text`, an `#open` without it."""
    return f"{text} check={crc32c(text.encode('latin-1')):08x}"


def beat(offset: int, numbers: bytes = b"", t: str = "1") -> str:
    """The beat after `numbers`, which end before `offset`."""
    return f"#beat offset={offset} crc={crc32c(numbers):08x} t={t}"


def rank(worker: str, producer: str) -> int:
    """How `worker` ranks `producer`: the higher, the better."""
    text = f"randstream-rank/1\n{worker}\n{producer}\n"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
