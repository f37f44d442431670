"""How people spell numbers, the one spelling that is passed on, and the advice on everything else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable

import pytest

from randstream.protocol.spelling import advise, read_clean, read_lines, respell, shorten

pytestmark = pytest.mark.usefixtures("speedups_or_not")

TAKEN = {
    "7": "7", "0": "0", "-0": "-0", "007": "007", "-12": "-12", "1.50": "1.50", "1e5": "1e5", "1e+5": "1e+5",
    "1e-05": "1e-05", "-1.5e-3": "-1.5e-3", "18446744073709551615": "18446744073709551615", "9" * 63: "9" * 63,
    "+5": "5", "+1.5": "1.5", "+.5": "0.5", "1E-3": "1e-3", "1E5": "1e5", "+1.5E+10": "1.5e+10",
    ".5": "0.5", "-.5": "-0.5", "5.": "5.0", "-5.": "-5.0", "5.e3": "5.0e3", "5.E-3": "5.0e-3", ".5e1": "0.5e1",
    " 7": "7", "7 ": "7", "\t7\t": "7", "  -7  \t": "-7", "7\r": "7", " 7 \r": "7", "7\r\r": "7", "\v7\f": "7",
    "\ufeff7": "7", "\ufeff 7": "7", "7 # seven": "7", "7#": "7", "7\t#7": "7", "+" + "9" * 63: "9" * 63,
}  # fmt: skip
PASSED_OVER = [
    "", " ", "\t", "\r", " \r", "#", "# a comment", "#comment", "  # indented", "#\r", "# a\r", "\ufeff", "\ufeff# x",
    "#OPEN worker=x", "#opening", "#open-air", "# open worker=x", "##open x", "#" + "x" * 600,
]  # fmt: skip
REFUSED = [
    "2024-01-01", "10.0.0.1", "1-2", "--", "-", "+", "--1", "++1", "+-1", "-+1", "- 1", "+ 1", "1e", "1E", "1e+", "1e-",
    "e5", "1e5.0", "1e5e5",
    "1.2.3", "1..2", ".", "-.", "+.", "..5", "5..", ".e5", "1+1", "1-", "1.-", "-e", "1e--5", "1e+-5",
    "NaN", "nan", "inf", "-inf", "Infinity", "0x10", "0b1", "1_000", "1,5", "1,000", "1;2", "1 2", "1\t2", "1\r2", "5,",
    "'5'", '"5"', "5%", "5f", "5L", "1d5", "1/2", "1:2", "True", "hello", "GET / HTTP/1.1", "\0", "7\0", "\x1a",
    "\u22125", "\uff15", "\u0665", "5\u00a0", "\u00bd", "1 #open x", "#open worker=x", "#close", "#beat\t", " #wait x",
    "#hello\r", "#ack offset=1", "#resume",
]  # fmt: skip


@pytest.mark.parametrize(("text", "spelled"), TAKEN.items())
def test_number_is_passed_on_in_one_spelling_which_the_wire_and_python_can_read(text: str, spelled: str) -> None:
    line = f"{text}\n".encode()
    assert read_lines(line) == (f"{spelled}\n".encode(), 1)
    assert re.fullmatch(r"[0-9-][0-9.e+-]{0,62}", spelled)
    assert float(spelled) == float(text.partition("#")[0].strip("\ufeff \t\r\v\f"))


@pytest.mark.parametrize("text", PASSED_OVER)
def test_line_without_a_number_is_passed_over(text: str) -> None:
    assert read_lines(f"{text}\n".encode()) == (b"", 0)


@pytest.mark.parametrize("text", REFUSED)
def test_line_that_is_no_number_is_refused_in_any_company(text: str) -> None:
    line = f"{text}\n".encode()
    for around in (b"", b"5\n", b"12345\n" * 400, b"-1.5\n" * 400, b"5\r\n", b" 5\n\n# five\n"):
        assert read_lines(around + line) is None
        assert read_lines(line + around) is None
        assert read_lines(around + line + around) is None


def test_all_spellings_together_are_read_as_each_alone() -> None:
    texts = [*TAKEN, *PASSED_OVER]
    for repeated in (1, 20):
        lines = "".join(f"{text}\n" for text in texts * repeated).encode()
        spelled = "".join(f"{text}\n" for text in list(TAKEN.values()) * repeated).encode()
        assert read_lines(lines) == (spelled, len(TAKEN) * repeated)


def test_clean_lines_are_seen_to_be_so() -> None:
    for lines in (b"5\n" * 3, b"52\n" * 1000, b"-1.5e-7\n" * 1000):
        assert read_clean(lines) == (lines, lines.count(b"\n"))
    for line in (b"\n", b"+5\n", b" 5\n", b"5\r\n", b".5\n", b"1E5\n", b"#\n", b"1-2\n"):
        assert read_clean(line) is None
        assert read_clean(b"52\n" * 1000 + line) is None


@pytest.mark.parametrize("text", ["9" * 64, "-" + "9" * 63, "." + "9" * 62, "9" * 62 + ".", "+." + "9" * 62])
def test_number_that_would_be_longer_than_a_number_line_is_refused(text: str) -> None:
    assert len(respell(f"{text}\n".encode())) > 64
    assert read_lines(f"{text}\n".encode()) is None


@pytest.mark.parametrize("filler", [b" ", b"\t", b"\r", b"\n", b"#", b".", b"+", b"-", b"e", b"1", b"\xef\xbb\xbf"])
@pytest.mark.timeout(20)  # a search that begins again at each byte takes minutes
def test_no_line_however_long_takes_more_than_a_moment(filler: bytes) -> None:
    for lines in (b"5" + filler * 2**17 + b"6\n", filler * 2**17 + b"x\n", b"5\n" + filler * 2**17 + b"\n"):
        read_lines(lines)
        shorten(lines)


@pytest.mark.parametrize(
    "line",
    [b" \t 1  2 ", b"\xef\xbb\xbf5\xef\xbb\xbf\xef\xbb\xbf6", b"5  # a   long comment  # 2", b"#resume\xef\xbb\xbfx"],
)  # fmt: skip
def test_line_is_shortened_alike_wherever_it_is_cut(line: bytes) -> None:
    for at in range(len(line)):
        assert shorten(shorten(line[:at]) + line[at:]) == shorten(line)
    bytewise = b""
    for byte in line:
        bytewise = shorten(bytewise + bytes([byte]))
    assert bytewise == shorten(line)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("nan", "finite"), ("-Infinity", "finite"), ("null", "finite"), ("0x10", "decimal"), ("1_000", "tr -d _"),
        ("1,5", "tr , ."), ("1,2,3", "tr , '\\n'"), ("1;2", "tr ';' '\\n'"), ("1 2", "[:space:]"), ('"5"', "quotes"),
        ("1d5", "tr dD e"), ("\u22125", "ASCII -"), ("5\0", "UTF-16"), ("#open worker=x", "grep -v '^#'"),
        ("true", "1 and 0"), ("2024-01-01", "one decimal number per line"), ("value", "tail -n +2"),
        ("1-2", "one decimal number per line"), ("1,234,567", "tr -d ,"), ("1,234,567.8", "tr -d ,"),
        ("1,234.5", "tr -d ,"), ("1,234", "thousands separator (tr -d ,)"), ("1,2345", "tr , ."), ("[1,2]", "jq"),
        ("9" * 64, "fewer digits"), ("0." + "3" * 70, "fewer digits"),
    ],
)  # fmt: skip
def test_line_that_is_no_number_has_advice(text: str, advice: str) -> None:
    assert advice in advise(shorten(text.encode()))


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_compressed_is_taken_for_nothing_else(compress: Callable[[bytes], bytes]) -> None:
    assert advise(shorten(compress(b"1\n2\n"))).startswith("is it compressed?")
