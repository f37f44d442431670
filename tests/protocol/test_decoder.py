"""Cutting bytes into lines: any slicing gives the same, every byte is looked at, and at most one line is kept."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.network import HELLO, beat_line, number_lines, open_line, repeatable

from randstream import speedups
from randstream.errors import Reason, RemoteProtocolError
from randstream.protocol import MAX_CONTROL_LINE_BYTES, MAX_NUMBER_LINE_BYTES
from randstream.protocol.decoder import Decoder, count_lines
from randstream.protocol.frames import Beat, Frame, Numbers, Wait, parse_control_line

pytestmark = pytest.mark.usefixtures("speedups_or_not")
CONTROL_LINES = [HELLO, open_line(), beat_line(7), b"#wait\n", b"#resume offset=7\n", b"#ack offset=7\n"]
WAIT_OF_512_BYTES = b"#wait colour=" + b"x" * (511 - 13) + b"\n"
NUMBER_OF_64_BYTES = b"-" + b"1" * 62 + b"\n"
LINES = st.one_of(
    st.sampled_from([*CONTROL_LINES, WAIT_OF_512_BYTES, NUMBER_OF_64_BYTES]),
    st.tuples(st.integers(0, 10**6), st.sampled_from([1, 1, 3, 80])).map(lambda n: number_lines(*n)),
)


def judge(run: bytes | bytearray) -> Reason | None:
    """The first fault in a run of number lines, read byte by byte."""
    for line in run.split(b"\n")[:-1]:
        if len(line) + 1 > 64:
            return Reason.TOO_LONG
        if not line or line[0] not in b"0123456789-" or any(byte not in b"0123456789.e+-" for byte in line):
            return Reason.MALFORMED
    return None


def verdict(run: bytes) -> Reason | int:
    try:
        return count_lines(run, 0, len(run))
    except RemoteProtocolError as error:
        return error.reason


def reference_frames(data: bytes) -> list[Frame]:
    """What whole, valid lines mean, one at a time."""
    return [
        parse_control_line(line[:-1]) if line.startswith(b"#") else Numbers(line, 1)
        for line in data.splitlines(keepends=True)
    ]


def merged(frames: Iterable[Frame]) -> list[Frame]:
    """The same, with neighbouring runs as one."""
    out: list[Frame] = []
    for frame in frames:
        if isinstance(frame, Numbers) and out and isinstance(before := out[-1], Numbers):
            out[-1] = Numbers(bytes(before.lines) + frame.lines, before.count + frame.count)
        else:
            out.append(frame)
    return out


def decode(slices: Iterable[bytes]) -> tuple[list[Frame], Reason | None]:
    """All frames up to the first error, and that."""
    decoder = Decoder()
    frames: list[Frame] = []
    try:
        for data in slices:
            frames.extend(decoder.decode(data))
            assert len(decoder.tail) < MAX_CONTROL_LINE_BYTES
    except RemoteProtocolError as error:
        return frames, error.reason
    return frames, None


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@given(lines=st.lists(LINES, max_size=12), places=st.lists(st.integers(0, 10**6), max_size=12))
@repeatable(120)
def test_any_slicing_of_whole_lines_gives_the_same_frames(lines: list[bytes], places: list[int]) -> None:
    data = b"".join(lines)
    frames, error = decode(cut(data, places))
    assert error is None
    assert merged(frames) == merged(reference_frames(data))
    assert merged(decode(byte_by_byte(data))[0]) == merged(frames)


@given(
    lines=st.lists(LINES, min_size=1, max_size=6),
    at=st.integers(0, 10**6),
    byte=st.binary(min_size=1, max_size=3),
    places=st.lists(st.integers(0, 10**6), max_size=6),
)
@repeatable(120)
def test_any_slicing_of_damaged_lines_agrees_on_the_error_and_on_what_came_before_it(
    lines: list[bytes], at: int, byte: bytes, places: list[int]
) -> None:
    data = b"".join(lines)
    at %= len(data)
    damaged = data[:at] + byte + data[at + 1 :]
    finely, fine_error = decode(byte_by_byte(damaged))
    coarsely, coarse_error = decode(cut(damaged, places))
    assert (fine_error is None) == (coarse_error is None)
    finely, coarsely = merged(finely), merged(coarsely)
    if fine_error is None:
        assert coarsely == finely
    else:  # of the run with the fault, a coarse slicing yields less
        count = sum(frame.count for frame in coarsely if isinstance(frame, Numbers))
        assert count <= sum(frame.count for frame in finely if isinstance(frame, Numbers))
        assert coarsely[:-1] == finely[: len(coarsely[:-1])]


def test_control_line_of_512_bytes_is_read_and_of_513_is_too_long_in_any_slicing() -> None:
    longer = WAIT_OF_512_BYTES.replace(b"\n", b"x\n")
    assert len(WAIT_OF_512_BYTES) == 512
    for slicing in ([WAIT_OF_512_BYTES], byte_by_byte(WAIT_OF_512_BYTES)):
        assert decode(slicing) == ([Wait()], None)
    for slicing in ([longer], byte_by_byte(longer), [longer[:-1]]):
        assert decode(slicing) == ([], Reason.TOO_LONG)


def test_line_too_long_is_found_without_waiting_for_its_lf() -> None:
    assert decode([b"#" + b"x" * 510]) == ([], None)
    assert decode([b"#" + b"x" * 511]) == ([], Reason.TOO_LONG)
    assert decode([b"1" * 63]) == ([], None)
    assert decode([b"1" * 64]) == ([], Reason.TOO_LONG)


def test_number_line_of_64_bytes_is_read_and_of_65_is_too_long_in_any_slicing_and_any_company() -> None:
    longer = b"1" + NUMBER_OF_64_BYTES[1:-1] + b"1\n"
    assert len(NUMBER_OF_64_BYTES) == MAX_NUMBER_LINE_BYTES == 64
    for before in (b"", b"5\n", number_lines(0, 400)):
        good, bad = before + NUMBER_OF_64_BYTES, before + longer
        frames, error = decode([good])
        assert error is None
        assert merged(frames) == merged(decode(byte_by_byte(good))[0])
        assert decode([bad])[1] is Reason.TOO_LONG
        assert decode(byte_by_byte(bad))[1] is Reason.TOO_LONG


@pytest.mark.parametrize("start", b"0123456789-")
def test_number_line_starts_with_a_digit_or_minus(start: int) -> None:
    line = bytes([start]) + b"1\n"
    assert decode([line]) == ([Numbers(line, 1)], None)


@pytest.mark.parametrize("byte", [byte for byte in range(256) if byte not in b"0123456789-#"])
def test_number_line_that_starts_with_any_other_byte_is_malformed_before_its_lf_comes(byte: int) -> None:
    assert decode([bytes([byte])]) == ([], Reason.MALFORMED) if byte != 0x0A else ([], None)
    assert decode([bytes([byte]) + b"1\n"]) == ([], Reason.MALFORMED)


@pytest.mark.parametrize("data", [b"52#\n", b"52\n5#beat offset=1 crc=00000000 t=1\n", b"-#", b"1" * 40 + b"#" * 40])
def test_number_line_with_a_hash_inside_is_malformed(data: bytes) -> None:
    assert decode([data])[1] is Reason.MALFORMED
    assert decode(byte_by_byte(data))[1] is Reason.MALFORMED


def test_control_line_may_hold_a_hash() -> None:
    assert decode([b"#wait colour=#ff0000\n52\n"]) == ([Wait(), Numbers(b"52\n", 1)], None)


def test_frames_before_an_error_are_not_lost() -> None:
    data = beat_line(0) + b"52\n78\n" + beat_line(2, b"52\n78\n") + b"#oops\n"
    frames, error = decode([data])
    assert [type(frame) for frame in frames] == [Beat, Numbers, Beat]
    assert error is Reason.MALFORMED


def test_a_run_of_numbers_is_one_frame_and_not_a_copy() -> None:
    run = number_lines(0, 10_000)
    (frame,) = Decoder().decode(run)
    assert frame == Numbers(run, 10_000)
    assert isinstance(frame.lines, memoryview)
    assert frame.lines.obj is run


def test_a_run_that_is_kept_keeps_no_more_than_twice_its_size() -> None:
    run = number_lines(0, 1000)
    for data in (run, run + beat_line(1000, run) * 500, beat_line(0) * 500 + run + beat_line(1000, run)):
        (kept,) = (frame.lines for frame in Decoder().decode(data) if isinstance(frame, Numbers))
        held = kept.obj if isinstance(kept, memoryview) else kept
        assert isinstance(held, bytes)
        assert len(held) <= 2 * len(run)


def test_memory_is_bounded_by_one_line_whatever_comes() -> None:
    dice = random.Random(1)
    for soup in (b"1234567890", b"#abc =", b"0123456789\n-.e+#\n", bytes(range(256))):
        for _ in range(50):
            decode(bytes(dice.choices(soup, k=dice.randrange(1, 400))) for _ in range(20))  # asserts the tail's size


SHORT = number_lines(0, 20)
MIXED = number_lines(0, 200)
DIGITS = b"".join(b"%d\n" % (n * n % 100_003) for n in range(250))
"""As most runs are: the decoder has a way of its own for them."""
PLACES = ["first of run", "first of line", "inside", "before LF", "instead of LF", "last before LF", "last"]


def place_in(run: bytes, place: str, line: int) -> int:
    lines = run.splitlines(keepends=True)
    start = sum(map(len, lines[:line]))
    size = len(lines[line])
    return {
        "first of run": 0,
        "first of line": start,
        "inside": start + size // 2,
        "before LF": start + size - 2,
        "instead of LF": start + size - 1,
        "last before LF": len(run) - 2,
        "last": len(run) - 1,
    }[place]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("run", [SHORT, MIXED, DIGITS], ids=["short", "mixed", "digits"])
def test_every_byte_value_at_every_kind_of_place_is_judged_as_byte_by_byte(place: str, run: bytes) -> None:
    count = run.count(b"\n")
    assert (len(run) > 1024) == (run is not SHORT)
    for byte in range(256):
        for line in {"first": [0], "last": [0]}.get(place.split()[0], [0, count // 2, count - 1]):
            damaged = bytearray(run)
            damaged[place_in(run, place, line)] = byte
            if damaged[-1] != 0x0A:
                damaged += b"\n"
            assert verdict(bytes(damaged)) == (judge(damaged) or damaged.count(b"\n")), (byte, line)


@pytest.mark.parametrize("byte", b"\n-x5")
def test_the_same_byte_at_every_place_of_a_run_of_digits_is_judged_as_byte_by_byte(byte: int) -> None:
    for at in range(600):
        damaged = DIGITS[:at] + bytes([byte]) + DIGITS[at + 1 :]
        assert verdict(damaged) == (judge(damaged) or damaged.count(b"\n")), at


@pytest.mark.parametrize("middle", ["", "-5", "x", "5-", "1" * 63, "1" * 64, "1" * 200, "-" + "1.5e+7" * 10])
@pytest.mark.parametrize("around", [b"7" * 30 + b"\n", b"-5." + b"0" * 27 + b"\n"], ids=["digits", "mixed"])
def test_large_runs_are_judged_alike_wherever_a_line_lies_in_them(around: bytes, middle: str) -> None:
    line = f"{middle}\n".encode()
    for before in range(2**17 - 220, 2**17 + 20, 11):  # the decoder looks at 128 KiB at a time
        run = around * (before // 31) + b"1" * (before % 31) + b"1\n" + line + around * 30
        assert verdict(run) == (judge(line) or run.count(b"\n")), before


def test_a_line_longer_than_all_that_is_looked_at_together_is_too_long() -> None:
    for before in (b"", b"7\n", b"7\n" * 2**16):
        assert verdict(before + b"1" * 2**18 + b"\n") is Reason.TOO_LONG


@pytest.mark.parametrize("around", [MIXED, DIGITS], ids=["mixed", "digits"])
def test_long_lines_are_judged_alike_at_every_length_and_every_alignment(around: bytes) -> None:
    for before in range(33):
        for size in (30, 31, 32, 33, 61, 62, 63, 64, 65, 66, 96, 100):
            line = b"7" * (size - 1) + b"\n"
            run = b"1" * before + b"1\n" + line
            for damaged in (run + around, around + run):
                assert verdict(damaged) == (judge(damaged) or damaged.count(b"\n")), (before, size)


@pytest.mark.parametrize("text", ["", "-", ".", "e", "+1", "-.e+", "--", " 1", "1 ", "1\r", "inf", "1E5", "1,5"])
def test_odd_lines_are_judged_alike_in_short_and_in_long_runs(text: str) -> None:
    line = f"{text}\n".encode()
    for around in (b"", b"5\n", MIXED, DIGITS):
        for run in (around + line, line + around, around + line + around):
            assert verdict(run) == (judge(run) or run.count(b"\n"))


def test_a_good_run_that_the_speedups_call_bad_is_a_bug_and_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speedups, "ARE_COMPILED", True)
    monkeypatch.setattr(speedups, "count_lines", lambda data, start, end: 0)
    with pytest.raises(AssertionError):
        count_lines(DIGITS, 0, len(DIGITS))


@given(seed=st.integers(0, 2**32), hits=st.integers(1, 4), size=st.sampled_from([10, 100, 300, 0]))
@repeatable(300)
def test_randomly_damaged_runs_are_judged_as_byte_by_byte(seed: int, hits: int, size: int) -> None:
    dice = random.Random(seed)
    run = bytearray(number_lines(dice.randrange(10**6), size) or DIGITS)
    for _ in range(hits):
        at = dice.randrange(len(run) - 1)
        match dice.randrange(4):
            case 0:
                run[at] = dice.randrange(256)
            case 1:
                run[at:at] = bytes(dice.choices(b"0123456789.e+-\n", k=dice.randrange(1, 90)))
            case 2:
                del run[at : at + dice.randrange(1, 90)]
            case _:
                run[at] = dice.choice(b"\n.-e+")
    if not run.endswith(b"\n"):
        run += b"\n"
    assert verdict(bytes(run)) == (judge(run) or run.count(b"\n"))
