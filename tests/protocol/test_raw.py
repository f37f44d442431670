"""A raw peer's bytes: any slicing gives the same, and everything before a line that is not a number is taken."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.network import beat_line, open_line, repeatable

from randstream.errors import RawLineError, Reason, RemoteProtocolError
from randstream.protocol.frames import Numbers, Open, Wait
from randstream.protocol.raw import FirstLineDecoder, RawDecoder

pytestmark = pytest.mark.usefixtures("speedups_or_not")
Fault = tuple[Reason, str, int, int, str]


def read(slices: Iterable[bytes], *, to_end: bool = True) -> tuple[bytes, int, Fault | None]:
    """The lines that are taken, their count, and the error for the one that is not a number."""
    decoder = FirstLineDecoder()
    taken, count = b"", 0
    try:
        for frame in itertools.chain(
            itertools.chain.from_iterable(map(decoder.decode, slices)), decoder.decode_rest() if to_end else ()
        ):
            assert isinstance(frame, Numbers)
            assert frame.count == bytes(frame.lines).count(b"\n") > 0
            taken += frame.lines
            count += frame.count
            assert len(decoder.tail) < 100
    except RawLineError as error:
        return taken, count, (error.reason, str(error), error.line, error.taken, error.advice)
    return taken, count, None


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def outcome(data: bytes, *, to_end: bool = True) -> tuple[bytes, int, Fault | None]:
    """What `read` makes of `data` in one piece, and of every slicing."""
    whole = read([data], to_end=to_end)
    assert read(bytewise(data), to_end=to_end) == whole
    if len(data) < 200:
        for at in range(len(data) + 1):
            assert read([data[:at], data[at:]], to_end=to_end) == whole, at
    return whole


@pytest.mark.parametrize(
    ("data", "taken"),
    [
        (b"1\n2\n3\n", b"1\n2\n3\n"),
        (b"1\r\n2\r\n3\r\n", b"1\n2\n3\n"),
        (b"\xef\xbb\xbf1\n2\n", b"1\n2\n"),
        (b"\xef\xbb\xbf\r\n1\r\n", b"1\n"),
        (b"\xef\xbb\xbf# x\n1\n", b"1\n"),
        (b"\n\n1\n\n2\n\n", b"1\n2\n"),
        (b"# x\n1\n# y\n2\n", b"1\n2\n"),
        (b"#x\n1 # one\n", b"1\n"),
        (b"#op\n1\n", b"1\n"),
        (b"#opening\n1\n", b"1\n"),
        (b"# open\n1\n", b"1\n"),
        (b"  1\n\t2\t\n", b"1\n2\n"),
        (b"+1\n+2.5\n", b"1\n2.5\n"),
        (b"1E-3\n.5\n5.\n", b"1e-3\n0.5\n5.0\n"),
        (b"1\n2", b"1\n2\n"),
        (b"1", b"1\n"),
        (b"1\r\n2\r", b"1\n2\n"),
        (b"\xef\xbb\xbf1", b"1\n"),
        (b"+1E5 # last", b"1e5\n"),
        (b"1\n# last", b"1\n"),
        (b"1\n  ", b"1\n"),
        (b"", b""),
        (b"#", b""),
        (b"#open", b""),
        (b"1\n#" + b"x" * 5000 + b"\n2\n", b"1\n2\n"),
        (b"1" + b" " * 5000 + b"\n" + b" " * 5000 + b"2\n", b"1\n2\n"),
        (b"1" * 63 + b" # comment\n", b"1" * 63 + b"\n"),
    ],
)
def test_lines_are_taken_in_every_slicing(data: bytes, taken: bytes) -> None:
    assert outcome(data) == (taken, taken.count(b"\n"), None)


@pytest.mark.parametrize(
    "bad", [b"2024-01-01", b"10.0.0.1", b"1-2", b"--", b"1 2", b"x", b"\xff", b"#beat x", b"1" * 64]
)
def test_all_before_a_line_that_is_no_number_are_taken_and_its_number_is_told(bad: bytes) -> None:
    for before, taken, line in (
        (b"", b"", 1),
        (b"1\n2\n", b"1\n2\n", 3),
        (b"1\r\n2\r\n", b"1\n2\n", 3),
        (b"\xef\xbb\xbf# x\n\n1\n2\n", b"1\n2\n", 5),
        (b"5\n" * 3000, b"5\n" * 3000, 3001),
        (b"-1.5\r\n\r\n" * 300, b"-1.5\n" * 300, 601),
    ):
        if before == b"" and bad.startswith(b"#beat"):
            continue  # then a producer speaks
        for after in (b"\n7\n8\n", b"\r\n" + b"7\n" * 1000, b""):
            numbers, count, fault = outcome(before + bad + after)
            assert (numbers, count) == (taken, taken.count(b"\n"))
            assert fault is not None
            reason, text, at, told, advice = fault
            assert reason is (Reason.TOO_LONG if len(bad) > 60 else Reason.MALFORMED)
            assert text.startswith(f"line {line} ")
            assert (at, told) == (line, count)
            assert advice


def test_line_too_long_is_found_without_waiting_for_its_lf() -> None:
    for start in (b"", b"1\n", b"  "):
        assert read([start + b"1" * 64], to_end=False)[2] is not None
        assert read([start + b"1" * 63], to_end=False)[2] is None


def test_what_is_told_of_a_line_is_short_and_printable() -> None:
    for line in (b"\x1b[2J\x07", b"x" * 10_000, bytes(range(128, 256)), b"\0" * 60):
        _, _, fault = outcome(line + b"\n")
        assert fault is not None
        assert fault[1].isascii()
        assert fault[1].isprintable()
        assert len(fault[1]) < 250


PIECES = st.sampled_from(
    [b"1", b"-2.5", b"+3", b"4E5", b".5", b"6.", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\n", b"#", b"# c",
     b"\xef\xbb\xbf", b"#open ", b"-", b"e", b"x", b"1" * 60, b"7\n" * 600]
)  # fmt: skip


@given(pieces=st.lists(PIECES, max_size=14), places=st.lists(st.integers(0, 10**6), max_size=6))
@repeatable(400)
def test_any_slicing_gives_the_same_outcome(pieces: list[bytes], places: list[int]) -> None:
    data = b" 0\n" + b"".join(pieces)
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    whole = read([data])
    assert read([data[a:b] for a, b in itertools.pairwise(edges)]) == whole
    assert read(bytewise(data)) == whole


def test_memory_is_bounded_by_one_line_whatever_comes() -> None:
    dice = random.Random(1)
    for soup in (b"1 ", b" \t\r", b"# x", b"\xef\xbb\xbf", b"1#", bytes(range(256))):
        for _ in range(30):
            read(bytes(dice.choices(soup, k=dice.randrange(1, 400))) for _ in range(20))  # asserts the tail's size


@pytest.mark.parametrize("line", [open_line(), b"#wait\n", beat_line(0), b"#close reason=shutdown\n"])
def test_first_line_of_the_wire_is_a_producers_in_every_slicing(line: bytes) -> None:
    for at in range(len(line)):
        decoder = FirstLineDecoder()
        frames = [*decoder.decode(line[:at]), *decoder.decode(line[at:])]
        assert len(frames) == 1
        assert not isinstance(frames[0], Numbers)
        with pytest.raises(RemoteProtocolError, match="not a number"):
            list(decoder.decode(b" 1\n"))


def test_first_line_of_the_wire_is_read_as_strictly_as_ever() -> None:
    assert [type(frame) for frame in FirstLineDecoder().decode(open_line() + b"#wait\n")] == [Open, Wait]
    for line in (b"#open x\n", b"#open\r\n", b"#wait for it\n"):
        with pytest.raises(RemoteProtocolError) as caught:
            list(FirstLineDecoder().decode(line))
        assert not isinstance(caught.value, RawLineError)


def test_tls_is_recognised() -> None:
    with pytest.raises(RemoteProtocolError, match="TLS"):
        list(FirstLineDecoder().decode(b"\x16\x03\x01"))


def test_tls_is_recognised_byte_by_byte() -> None:
    decoder = FirstLineDecoder()
    assert list(decoder.decode(b"\x16")) == []
    with pytest.raises(RemoteProtocolError, match="TLS"):
        list(decoder.decode(b"\x03"))
    with pytest.raises(RemoteProtocolError, match="neither a number"):
        list(FirstLineDecoder().decode(b"\x16\x04"))


def test_a_raw_decoder_alone_counts_from_its_first_line() -> None:
    decoder = RawDecoder()
    assert list(decoder.decode(b"1\n")) == [Numbers(b"1\n", 1)]
    with pytest.raises(RawLineError, match="line 2 is not a number: 'x'"):
        list(decoder.decode(b"x\n"))


def test_a_clean_run_is_one_frame_and_not_a_copy() -> None:
    run = b"-1.5\n" * 10_000
    (frame,) = RawDecoder().decode(run)
    assert isinstance(frame, Numbers)
    assert frame.lines is run


def test_a_run_with_a_few_lines_that_are_not_clean_is_one_frame() -> None:
    run = (b"12\n" * 5000 + b"# comment\n+7\n") * 3
    assert list(RawDecoder().decode(run)) == [Numbers((b"12\n" * 5000 + b"7\n") * 3, 15_003)]
