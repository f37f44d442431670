"""Frames: one control line, or one run of number lines, as data; and the text of each. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, assert_never

import google_crc32c
import numpy as np

from ..errors import UNWRITTEN, Reason, RemoteProtocolError
from . import MAX_CONTROL_LINE_BYTES, MAX_HEARTBEAT, MAX_OFFSET, MIN_HEARTBEAT, NAME, STREAM, VERSION

crc32c: Final[Callable[[bytes], int]] = google_crc32c.value

Lines = bytes | memoryview
"""Number lines, each ended by LF: bytes, or, where there are many, a view of what was read, to avoid a copy."""


@dataclass(frozen=True, slots=True)
class Hello:
    """`#hello randstream/1 worker=...`: the worker's first line."""

    worker: str


@dataclass(frozen=True, slots=True)
class Open:
    """`#open ...`: which stream the producer offers. `heartbeat` in seconds, to the millisecond.

    `instance` is a secret: anyone who knows it can end that link's connections.
    """

    worker: str
    stream: str
    numbers: str
    producer: str
    heartbeat: float
    instance: str | None = field(default=None, repr=False)

    @property
    def kind(self) -> tuple[str, str]:
        """What makes two offers the same stream."""
        return self.stream, self.numbers


@dataclass(frozen=True, slots=True)
class Wait:
    """`#wait [by=...] [offset=...] [stream=...] [why=...]`: not yet, and are you there? The answer is a bare `#wait`.

    `by` is the producer that serves, None if none does; `offset` the last ack of the offered stream, if any; `stream`
    the stream that is served, if it is another; `why` what is wrong with the sink: see `troubles`.
    """

    by: str | None = None
    offset: int | None = None
    stream: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Resume:
    """`#resume [offset=...] [after=...]`: the number to send next; None: the worker holds nothing of this stream.

    `after` says why this producer serves now, for its log: one of `AFTER`, or a word this version does not know.
    """

    offset: int | None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """A run: `count` whole number lines."""

    lines: Lines
    count: int


@dataclass(frozen=True, slots=True)
class Beat:
    """`#beat ...`: the next number has `offset`; `crc` covers all number bytes since the last beat; `t` is opaque."""

    offset: int
    crc: int
    t: str


@dataclass(frozen=True, slots=True)
class Ack:
    """`#ack ...`: all below `offset` is in the sink; `t` repeats that of the beat answered, None in a repeated ack.

    `why`, only in a repeated ack: what is wrong with the sink: see `troubles`.
    """

    offset: int
    t: str | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """`#close reason=...`: an orderly end."""

    reason: Reason


ControlFrame = Hello | Open | Wait | Resume | Beat | Ack | Close
Frame = ControlFrame | Numbers


@dataclass(frozen=True, slots=True)
class _Key:
    """How one `key=value` is spelled and read. `read` may raise ValueError."""

    pattern: re.Pattern[str]
    read: Callable[[str], Any]
    optional: bool = False


def _read_offset(text: str) -> int:
    offset = int(text)
    if offset > MAX_OFFSET:
        raise ValueError(text)
    return offset


def _read_heartbeat(text: str) -> float:
    seconds = float(text)
    if not MIN_HEARTBEAT <= seconds <= MAX_HEARTBEAT:
        raise ValueError(text)
    return seconds


def _read_reason(text: str) -> Reason:
    return next((reason for reason in Reason if reason == text and reason not in UNWRITTEN), Reason.OTHER)


_NAME = _Key(NAME, str)
_OFFSET = _Key(re.compile(r"0|[1-9][0-9]{0,18}"), _read_offset)
_STREAM = _Key(STREAM, str)
_OPAQUE_TIME = _Key(re.compile(r"[0-9]{1,20}"), str)
_WORD = _Key(re.compile(r"[a-z][a-z-]{0,31}"), str, optional=True)

_KEYS: Final[dict[type, dict[str, _Key]]] = {
    Hello: {"worker": _NAME},
    Open: {
        "worker": _NAME,
        "stream": _STREAM,
        "numbers": _Key(re.compile(r"[a-z0-9]+(?::[0-9.e+-]+)*"), str),
        "producer": _NAME,
        "heartbeat": _Key(re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,3})?"), _read_heartbeat),
        "instance": _Key(re.compile(r"[0-9a-f]{16}"), str, optional=True),
    },
    Wait: {
        "by": _Key(NAME, str, optional=True),
        "offset": _Key(_OFFSET.pattern, _read_offset, optional=True),
        "stream": _Key(STREAM, str, optional=True),
        "why": _WORD,
    },
    Resume: {
        "offset": _Key(_OFFSET.pattern, _read_offset, optional=True),
        "after": _WORD,
    },
    Beat: {"offset": _OFFSET, "crc": _Key(re.compile(r"[0-9a-f]{8}"), lambda text: int(text, 16)), "t": _OPAQUE_TIME},
    Ack: {"offset": _OFFSET, "t": _Key(_OPAQUE_TIME.pattern, str, optional=True), "why": _WORD},
    Close: {"reason": _Key(_WORD.pattern, _read_reason)},
}
_VERBS: Final[dict[str, type]] = {f"#{kind.__name__.lower()}": kind for kind in _KEYS}
_USUAL_WAIT: Final = re.compile(rb"#wait by=(%b) offset=(0|[1-9][0-9]{0,17})" % NAME.pattern.encode())
"""A standby gets this once a second from each of ten thousand workers; this reads it in a tenth of the time."""
_CHECK: Final = re.compile(r"(.*) check=([0-9a-f]{8})")


def extend_crc(crc: int, lines: Lines) -> int:
    """Extend `crc`, a CRC-32C, by `lines`."""
    # The library refuses a memoryview, but takes an array over its memory.
    extended: int = google_crc32c.extend(crc, lines if isinstance(lines, bytes) else np.frombuffer(lines, np.uint8))
    return extended


def encode(frame: ControlFrame) -> bytes:
    """The control line of `frame`, LF included."""
    match frame:
        case Beat(offset, crc, t):
            line = f"#beat offset={offset} crc={crc:08x} t={t}"
        case Ack(offset, None, why):
            line = f"#ack offset={offset}{_words(why=why)}"
        case Ack(offset, t):
            line = f"#ack offset={offset} t={t}"
        case Hello(worker):
            line = f"#hello {VERSION} worker={worker}"
        case Open(worker, stream, numbers, producer, heartbeat, instance):
            line = f"#open worker={worker} stream={stream} numbers={numbers} producer={producer} heartbeat={heartbeat}"
            line += _words(instance=instance)
            line += f" check={crc32c(line.encode()):08x}"
        case Wait(by, offset, stream, why):
            line = f"#wait{_words(by=by, offset=offset, stream=stream, why=why)}"
        case Resume(offset, after):
            line = f"#resume{_words(offset=offset, after=after)}"
        case Close(reason):
            line = f"#close reason={reason}"
        case _:
            assert_never(frame)
    return f"{line}\n".encode()


def _words(**values: object) -> str:
    return "".join(f" {key}={value}" for key, value in values.items() if value is not None)


def parse_control_line(line: bytes) -> ControlFrame:
    """Read one control line, given without its LF.

    Raises RemoteProtocolError: `version` for another version's `#hello`, `too-long`, else `malformed`.
    """
    if len(line) >= MAX_CONTROL_LINE_BYTES:
        raise RemoteProtocolError(Reason.TOO_LONG, f"a control line of over {MAX_CONTROL_LINE_BYTES} bytes")
    if usual := _USUAL_WAIT.fullmatch(line):
        return Wait(usual[1].decode(), int(usual[2]))
    if not line.isascii() or not (text := line.decode()).isprintable():
        raise _malformed("a control line that is not printable ASCII", line)
    verb, *words = text.split(" ")
    kind = _VERBS.get(verb)
    if kind is None:
        raise _malformed("an unknown verb", line)
    if kind is Hello:
        if not words or not words[0] or "=" in words[0]:
            raise _malformed("a #hello without a version", line)
        if (version := words.pop(0)) != VERSION:
            raise RemoteProtocolError(Reason.VERSION, f"the peer speaks {version[:32]!r}, this is {VERSION}")
    if kind is Open:
        checked = _CHECK.fullmatch(text)
        if checked is None or crc32c(checked[1].encode()) != int(checked[2], 16):
            raise _malformed("an #open with a wrong check", line)
        words.pop()
        if any(word.startswith("check=") for word in words):
            raise _malformed("a repeated check", line)
    frame: ControlFrame = kind(**_read_values(_KEYS[kind], words, line))
    return frame


def _read_values(keys: dict[str, _Key], words: list[str], line: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            raise _malformed("a word that is not key=value", line)
        key = keys.get(name)
        if key is None:
            continue
        if name in values:
            raise _malformed(f"a repeated {name}", line)
        if not key.pattern.fullmatch(text):
            raise _malformed(f"an ill-formed {name}", line)
        try:
            values[name] = key.read(text)
        except ValueError:
            raise _malformed(f"{name} out of bounds", line) from None
    for name, key in keys.items():
        if name not in values:
            if not key.optional:
                raise _malformed(f"no {name}", line)
            values[name] = None
    return values


def _malformed(what: str, line: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(Reason.MALFORMED, f"{what}: {line[:80]!r}")
