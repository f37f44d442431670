"""Numerals: what a number is, told line by line and block by block alike."""

from __future__ import annotations

import random
import re
from itertools import product
from pathlib import Path

import pytest
from tests.store.streams import OFFERED

from randstream.errors import RemoteProtocolError
from randstream.numbers.stream import NumberStream
from randstream.protocol.decoder import count_lines
from randstream.protocol.frames import Beat, crc32c, encode
from randstream.store import numerals, verify
from randstream.store.layout import encode_header, segment_path
from randstream.store.numerals import find_odd_line

GRAMMARS = {True: re.compile(r"-?\d+", re.ASCII), False: re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?", re.ASCII)}


def is_line_of_the_wire(line: bytes) -> bool:
    try:
        return count_lines(line, 0, len(line)) == 1
    except RemoteProtocolError:
        return False


@pytest.mark.parametrize("is_whole", [True, False])
def test_every_short_line_of_the_wire_is_judged_by_the_grammar_alone_or_among_others(is_whole: bool) -> None:
    for size in range(1, 6):
        for letters in product("1.e+-", repeat=size):
            text = "".join(letters)
            line = f"{text}\n".encode()
            if is_line_of_the_wire(line):
                is_odd = GRAMMARS[is_whole].fullmatch(text) is None
                assert (find_odd_line(line, is_whole=is_whole) is not None) == is_odd, text
                assert find_odd_line(b"-7\n12\n" + line + b"3\n", is_whole=is_whole) == (6 if is_odd else None), text


def test_long_lines_of_chance_are_judged_by_the_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numerals, "_BLOCK_BYTES", 100)
    dice = random.Random(1)
    for _ in range(3_000):
        texts = ["".join(dice.choices("0123456789.e+-", [9] * 10 + [2] * 4, k=dice.randrange(1, 20))) for _ in range(9)]
        texts = [text for text in texts if is_line_of_the_wire(f"{text}\n".encode())]
        lines = "".join(f"{text}\n" for text in texts).encode()
        for is_whole, grammar in GRAMMARS.items():
            wrong = [text for text in texts if not grammar.fullmatch(text)]
            expected = sum(len(text) + 1 for text in texts[: texts.index(wrong[0])]) if wrong else None
            assert find_odd_line(lines, is_whole=is_whole) == expected


@pytest.mark.parametrize(
    "numbers",
    ["integers:-50:50", "bits64", "bernoulli:0.5", "poisson:3", "uniform:-1e-9:1e-4", "exponential:1e17", "normal:0:1"],
)
def test_all_numbers_of_all_streams_are_numbers(numbers: str) -> None:
    stream = NumberStream("42", "worker-0", numbers)
    is_whole = stream.distribution.dtype != "float64"
    assert find_odd_line(stream.lines(0, 50_000), is_whole=is_whole) is None


@pytest.mark.parametrize("line", [b"1abc", b"1-2", b"-", b"1.5", b"1e", b"1.5.2"])
def test_verify_without_the_seed_finds_what_is_no_number(tmp_path: Path, line: bytes) -> None:
    lines = b"52\n78\n" + line + b"\n"
    path = segment_path(tmp_path, 0)
    path.write_bytes(encode_header(OFFERED, 0) + lines + encode(Beat(3, crc32c(lines), "1")))
    (stream,) = verify([path]).streams
    assert stream.damage is not None
    assert stream.damage.path == path
    assert "number" in stream.damage.what
