"""Spelling: turns numbers as people write them into the one spelling that is passed on. Pure.

It works on many lines at once: substitutions over all of them, then a check of the result.
"""

from __future__ import annotations

import re
from typing import Final

from .decoder import count_if_lines

CONTROL: Final = rb"#(?:hello|open|wait|resume|beat|ack|close)[ \t\r\v\f\n]"
"""What the control lines of the wire begin with: no comment."""
_DIGITS_AND_ENDS: Final = b"0123456789\n"
_NUMBERS: Final = re.compile(rb"(?:-?[0-9]++(?:\.[0-9]++)?+(?:e[+-]?[0-9]++)?+\n)*+")
_MARK: Final = b"\xef\xbb\xbf"
"""A byte-order mark in UTF-8. It counts as a blank, as files that start with one may be joined."""
_COMMENT: Final = re.compile(rb"(?!%b)#[^\n]*+" % CONTROL)
_BLANKS: Final = re.compile(rb"(?<![ \t\r\v\f])[ \t\r\v\f]*+\n[ \t\r\v\f\n]*+")
"""Around the end of a line, and empty lines. The look-behind keeps the search from starting over at each blank."""
_BLANK_RUN: Final = re.compile(rb"[ \t\r\v\f]+")
_KEPT_COMMENT: Final = 12
"""Bytes that suffice to tell a comment from a control line, even if a byte-order mark follows the verb."""
_PLUS: Final = re.compile(rb"\n\+(?=[0-9.])")
_BARE_START: Final = re.compile(rb"\n(-?)\.(?=[0-9])")
_BARE_END: Final = re.compile(rb"\.(?=[e\n])")

_ADVICE: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), advice)
    for pattern, advice in (
        (rb"#", "it is a stream's control line, not a comment: grep -v '^#'"),
        (rb"\x1f\x8b", "is it compressed? gunzip"),
        (rb"\x28\xb5\x2f\xfd|\xfd7zXZ|BZh[1-9]|PK\x03\x04", "is it compressed? unpack it"),
        (rb"[^\n]*\0|\xff\xfe|\xfe\xff", "is it UTF-16? iconv -f UTF-16 -t UTF-8"),
        (rb"[+-]?(?:nan|inf|infinity|null|none|na|n/a)\s*$", "leave out what is not a finite number"),
        (rb"(?:true|false)\s*$", "write 1 and 0"),
        (rb"[+-]?0[xob]", "write it in decimal"),
        (rb"[^\n]*[\"']", "leave out the quotes: tr -d '\\042\\047'"),
        (rb"[^\n]*[0-9]_", "leave out the underscores: tr -d _"),
        (rb"[+-]?[0-9.]+d[+-]?[0-9]+\s*$", "write the exponent with e: tr dD e"),
        (rb"[^\n]*\xe2\x88\x92", "write minus as the ASCII -"),
        (
            rb"[+-]?[0-9]{1,3}(?:,[0-9]{3}){2,}\s*$",
            "leave out the thousands separators: tr -d , (or, for several numbers, tr , '\\n')",
        ),
        (rb"[+-]?[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]*\s*$", "leave out the thousands separators: tr -d ,"),
        (
            rb"[+-]?[0-9]+,[0-9]+\s*$",
            "is the comma a decimal point (tr , .), a thousands separator (tr -d ,) or between numbers (tr , '\\n')?",
        ),
        (rb"[\[{]", "is it JSON? jq '.[]'"),
        (rb"[^\n]*,", "put each number on its own line: tr , '\\n'"),
        (rb"[^\n]*;", "put each number on its own line: tr ';' '\\n'"),
        (rb"[a-z_][\w .-]*$", "leave out what is not a number; if it is the heading of a file, tail -n +2"),
        (rb"[+-]?[0-9.]{60}", "write it with fewer digits"),
        (rb"[^\n]*\S \S", "put each number on its own line: tr -s '[:space:]' '\\n'"),
    )
)
_OTHER_ADVICE: Final = "write one decimal number per line, such as -1.5e-3"


def read_clean(lines: bytes) -> tuple[bytes, int] | None:
    """`lines`, which end with LF, and their count, if each is a number in the spelling that is passed on; else None."""
    count = count_if_lines(lines, 0, len(lines))
    if not count or (lines.translate(None, _DIGITS_AND_ENDS) and not _NUMBERS.fullmatch(lines)):
        return None
    return lines, count


def read_lines(lines: bytes) -> tuple[bytes, int] | None:
    """The numbers in `lines`, which end with LF, as number lines, and their count; None if a line is not a number."""
    lines = respell(lines)
    return read_clean(lines) if lines else (b"", 0)


def respell(lines: bytes) -> bytes:
    """Drop blanks, comments and empty lines from `lines`, which end with LF; respell the numbers as number lines."""
    lines = b"\n" + lines.replace(_MARK, b" ").replace(b"E", b"e")
    if b"#" in lines:
        lines = _COMMENT.sub(b"", lines)
    lines = _BLANKS.sub(b"\n", lines)
    lines = _PLUS.sub(b"\n", lines)
    lines = _BARE_START.sub(rb"\n\g<1>0.", lines)
    return _BARE_END.sub(b".0", lines)[1:]


def shorten(line: bytes) -> bytes:
    """Drop from an unfinished line what can no longer matter: runs of blanks, and most of a comment.

    A line may be cut off at any place, and shortened again after more has come.
    """
    line = _BLANK_RUN.sub(b" ", line.replace(_MARK, b" ")).lstrip(b" ")
    at = line.find(b"#")
    return line if at < 0 else line[: at + _KEPT_COMMENT]


def advise(line: bytes) -> str:
    """What to do about a shortened `line` that is not a number."""
    return next((advice for pattern, advice in _ADVICE if pattern.match(line)), _OTHER_ADVICE)
