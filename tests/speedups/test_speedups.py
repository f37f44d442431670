"""Speed-ups: the compiled code stays within its bounds and gives the same results as Python.

`tests/protocol/test_decoder.py` shows that they judge lines byte by byte, `tests/numbers/test_stream.py` that numbers
agree.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.numbers.words import EDGE_WORDS

from randstream import speedups
from randstream.numbers.distributions import Continuous, parse_distribution
from randstream.numbers.text import LONGEST_LINE_BYTES

SOURCES = sorted(Path(__file__).parents[2].glob("src/randstream/speedups/*.c"))
"""Where an installed package has none."""

pytestmark = pytest.mark.skipif(not speedups.ARE_COMPILED, reason="there was no C compiler when this was installed")

EDGES = [0, *(10**n + d for n in range(1, 20) for d in (-1, 0, 1)), *(2**n - 1 for n in range(65))]
"""Where the number of decimal or of binary digits changes."""

offsets = st.integers(0, 2000) | st.integers(0, 2**63 - 5000)
counts = st.integers(0, 40) | st.integers(0, 3000)
keys = st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


def drawn(key: tuple[int, int], offset: int, count: int, low: int, span: int) -> bytes:
    """The lines, after a check that nothing was written outside the room."""
    space = np.full(count * LONGEST_LINE_BYTES + 2, ord("~"), np.uint8)
    room = space[1:-1]
    begin = speedups.draw_lines(key, offset, count, low, span, room)
    assert space[0] == space[-1] == ord("~")
    return room[begin:].tobytes()


def words(key: tuple[int, int], offset: int, count: int) -> list[int]:
    """The same words from NumPy."""
    generator = np.random.Philox(key=np.array(key, np.uint64), counter=offset // 4)
    made: list[int] = generator.random_raw(offset % 4 + count)[offset % 4 :].tolist()
    return made


@given(key=keys, offset=offsets, count=counts)
def test_words_are_those_of_numpy_from_any_offset_on(key: tuple[int, int], offset: int, count: int) -> None:
    expected = b"".join(b"%d\n" % word for word in words(key, offset, count))
    assert drawn(key, offset, count, 0, 2**64) == expected


@given(key=keys, offset=offsets, low=st.integers(-(2**63), 2**63 - 1), span=st.integers(1, 2**32))
@example((1, 2), 0, -(2**63), 1)
@example((1, 2), 0, -(2**63), 2**32)
@example((1, 2), 0, 2**63 - 2**32, 2**32)
def test_numbers_are_scaled_as_the_specification_says(key: tuple[int, int], offset: int, low: int, span: int) -> None:
    low = min(low, 2**63 - span)
    expected = b"".join(b"%d\n" % (low + (word * span >> 64)) for word in words(key, offset, 50))
    assert drawn(key, offset, 50, low, span) == expected


@pytest.mark.parametrize("number", EDGES)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_of_any_length_is_spelled_as_python_spells_it(number: int, sign: int) -> None:
    number *= sign
    if -(2**63) <= number < 2**63:
        assert drawn((0, 0), 7, 3, number, 1) == b"%d\n" % number * 3


@pytest.mark.parametrize("kind", ["uniform:-3:7.5", "exponential:2.5", "normal:-1:0.1"])
@given(key=keys, offset=offsets, count=counts)
def test_floats_are_those_of_python_from_any_offset_on(
    kind: str, key: tuple[int, int], offset: int, count: int
) -> None:
    distribution = parse_distribution(kind)
    assert isinstance(distribution, Continuous)
    made = np.empty(count)
    speedups.draw_floats(key, offset, *distribution.standard, made)
    expected = distribution.from_words(np.array(words(key, offset, count), np.uint64))
    assert made.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", ["uniform:-3:7.5", "exponential:2.5", "normal:-1:0.1"])
@given(key=keys, offset=offsets, count=counts)
def test_float_lines_are_those_of_the_floats(kind: str, key: tuple[int, int], offset: int, count: int) -> None:
    distribution = parse_distribution(kind)
    assert isinstance(distribution, Continuous)
    numbers, space = np.empty(count), np.full(count * LONGEST_LINE_BYTES + 2, ord("~"), np.uint8)
    speedups.draw_floats(key, offset, *distribution.standard, numbers)
    size = speedups.draw_float_lines(key, offset, count, *distribution.standard, space[1:-1])
    assert space[1 : 1 + size].tobytes() == b"".join(b"%s\n" % orjson.dumps(number) for number in numbers.tolist())
    assert space[0] == space[-1] == ord("~")


@pytest.mark.slow
@pytest.mark.skipif(not SOURCES, reason="the package has no sources beside it")
@pytest.mark.parametrize("family", speedups.FAMILIES)
def test_no_kind_of_processor_makes_other_floats(tmp_path: Path, family: str) -> None:
    for_any = tmp_path / "for_any.so"
    flags = "-std=c11 -O3 -ffp-contract=off -fno-math-errno -DNO_CLONES -shared -fPIC -o"
    subprocess.run(["cc", *flags.split(), for_any, *SOURCES], check=True)
    made = []
    for path in (speedups.LIBRARY, str(for_any)):
        library, room = speedups.load(path), np.zeros(200_000 * LONGEST_LINE_BYTES, np.uint8)
        assert library is not None
        words = 1, 2, 3, 200_000, speedups.FAMILIES.index(family)
        size = library.draw_float_lines_within(*words, -0.5, 3.0, room.ctypes.data, len(room))
        made.append(room[:size].tobytes())
    assert made[0] == made[1]
    assert made[0].count(b"\n") == 200_000


@pytest.mark.parametrize("kind", ["uniform:-3:7.5", "uniform:0:0", "exponential:0", "exponential:2.5", "normal:-1:0.1"])
@given(drawn_words=st.lists(st.sampled_from(EDGE_WORDS) | st.integers(0, 2**64 - 1), max_size=1100))
@example(drawn_words=EDGE_WORDS)
@example(drawn_words=[n + d for n in range(0, 2**64 - 2**40, 2**54) for d in (0, 2**12 - 1, 2**12)])
@example(drawn_words=[2**n * m for n in range(58) for m in range(1, 64)])
def test_floats_of_any_words_are_those_of_python_to_the_last_bit(kind: str, drawn_words: list[int]) -> None:
    distribution = parse_distribution(kind)
    assert isinstance(distribution, Continuous)
    array = np.array(drawn_words, np.uint64)
    made = speedups.make_floats(array, *distribution.standard)
    assert made.tobytes() == distribution.from_words(array).astype(np.float64).tobytes()


@pytest.mark.parametrize("text", [b"1", b"-", b"12345678901234567890", b"-1.5e+300"])
@pytest.mark.parametrize("count", [1, 5, 100, 5000])
def test_lines_are_counted_from_any_start_to_any_end(text: bytes, count: int) -> None:
    lines = (text + b"\n") * count
    for before in range(40):
        data = b"#" * before + lines + b"\n#beat"
        assert speedups.count_lines(data, before, before + len(lines)) == count


def test_a_library_that_is_missing_or_for_another_machine_is_not_loaded(tmp_path: Path) -> None:
    library = tmp_path / "libspeedups.so"
    assert speedups.load(str(library)) is None
    library.write_bytes(b"\x7fELF of another machine")
    assert speedups.load(str(library)) is None


def test_a_library_without_the_functions_that_are_called_is_not_loaded() -> None:
    assert speedups.load("libc.so.6") is None


# The border: whatever is given, nothing is written outside the room, and nothing is read outside the data.

ROOM_A_LINE = 22
anything = st.integers() | st.integers(0, 2000) | st.integers(0, 2**64 - 1) | st.sampled_from([2**63, 2**64, -(2**63)])


@given(
    key=st.tuples(anything, anything), offset=anything, count=anything, low=anything, span=anything,
    size=st.integers(0, 9000),
)  # fmt: skip
@example((1, 2), 0, 171798700, 0, 2**64, 9000)
@example((1, 2), 0, 2**64 + 1, 0, 2**64, 9000)
@example((1, 2), 2**64 - 1, 1, 0, 2**64, 22)
@example((1, 2), 0, -1, -1, 1, 0)
@example((1, 2), 2**64, 1, 2**63, 2**65, 22)
def test_nothing_is_written_outside_the_room(
    key: tuple[int, int], offset: int, count: int, low: int, span: int, size: int
) -> None:
    space = np.full(size + 2 * 64, ord("~"), np.uint8)
    room = space[64:-64]
    try:
        begin = speedups.draw_lines(key, offset, count, low, span, room)
    except ValueError:
        assert (space == ord("~")).all()
    else:
        assert ROOM_A_LINE * count <= size
        assert 0 <= offset <= offset + count < 2**64
        assert room[begin:].tobytes().count(b"\n") == count
        assert (space[:64] == ord("~")).all()
        assert (space[-64:] == ord("~")).all()


def test_a_room_of_22_bytes_a_number_is_enough_and_one_less_is_refused() -> None:
    room = np.zeros(ROOM_A_LINE * 20, np.uint8)
    assert room[speedups.draw_lines((1, 2), 0, 20, -(2**63), 1, room) :].tobytes() == b"-9223372036854775808\n" * 20
    with pytest.raises(ValueError, match="no room for 20 numbers from 0 on in 439 bytes"):
        speedups.draw_lines((1, 2), 0, 20, 0, 2**64, room[1:])


@pytest.mark.parametrize(
    "room",
    [np.empty(0, "u1"), np.zeros((1, 90), "u1"), np.zeros(180, "u1")[::2], np.frombuffer(bytes(90), "u1")],
    ids=["empty", "of two dimensions", "with gaps", "that may not be written"],
)  # fmt: skip
def test_a_room_is_bytes_in_a_row_that_may_be_written(room: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        speedups.draw_lines((1, 2), 0, 1, 0, 2**64, room)
    assert not room.any()


@pytest.mark.parametrize("value", [1.0, "1", None, np.float64(1)])
def test_what_is_no_integer_does_not_pass_the_border(value: Any) -> None:
    with pytest.raises((TypeError, ctypes.ArgumentError)):
        speedups.draw_lines((1, 2), 0, value, 0, 2**64, np.zeros(100, np.uint8))
    with pytest.raises((TypeError, ctypes.ArgumentError)):
        speedups.count_lines(b"1\n", 0, value)


@given(key=st.tuples(anything, anything), offset=anything, count=st.integers(0, 2000))
@example((1, 2), 2**64 - 1, 1)
@example((1, 2), 2**64, 1)
@example((1, -2), 0, 1)
def test_floats_are_drawn_of_words_that_there_are(key: tuple[int, int], offset: int, count: int) -> None:
    space = np.full(count + 2, np.nan)
    if min(*key, offset) >= 0 and max(*key, offset + count) < 2**64:
        speedups.draw_floats(key, offset, "normal", 0.0, 1.0, space[1:-1])
        assert np.isfinite(space[1:-1]).all()
        assert np.isnan(space[[0, -1]]).all()
    else:
        with pytest.raises(ValueError, match="numbers from"):
            speedups.draw_floats(key, offset, "normal", 0.0, 1.0, space[1:-1])
        assert np.isnan(space).all()
        room = np.zeros(25 * count, np.uint8)
        with pytest.raises(ValueError, match="numbers from"):
            speedups.draw_float_lines(key, offset, count, "normal", 0.0, 1.0, room)
        assert not room.any()


@pytest.mark.parametrize("count", [3, 2**60, 2**64 - 1, 2**64, -1])
def test_float_lines_are_drawn_into_room_enough(count: int) -> None:
    room = np.zeros(74, np.uint8)
    with pytest.raises(ValueError, match="numbers from 0 on"):
        speedups.draw_float_lines((1, 2), 0, count, "normal", 0.0, 1.0, room)
    assert not room.any()


@pytest.mark.parametrize(
    "room", [np.zeros(198, "u1")[::2], np.zeros(99, "u2"), np.zeros((9, 9), "u1"), np.frombuffer(bytes(99), "u1")]
)
def test_float_lines_are_drawn_into_bytes_in_a_row(room: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        speedups.draw_float_lines((1, 2), 0, 2, "normal", 0.0, 1.0, room)
    assert not room.any()


@pytest.mark.parametrize(
    ("numbers", "room"),
    [
        (np.zeros(2, np.float32), np.zeros(99, "u1")),
        (np.zeros(4)[::2], np.zeros(99, "u1")),
        (np.zeros((2, 2)), np.zeros(99, "u1")),
        (np.frombuffer(bytes(17), "f8", 2, 1), np.zeros(99, "u1")),
        (np.zeros(2), np.zeros(198, "u1")[::2]),
        (np.zeros(2), np.zeros(99, "u2")),
        (np.zeros(2), np.frombuffer(bytes(99), "u1")),
        (np.zeros(2), np.zeros(49, "u1")),
    ],
)
def test_floats_and_their_room_are_arrays_in_a_row(numbers: Any, room: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        speedups.put_float_lines(numbers, room)
    assert not room.any()


@pytest.mark.parametrize(
    "numbers",
    [
        np.zeros(2, np.float32), np.zeros(4)[::2], np.zeros((2, 2)), np.frombuffer(bytes(16)),
        np.frombuffer(bytearray(17), "f8", 2, 1),
    ],
    ids=["of another type", "with gaps", "of two dimensions", "that may not be written", "not aligned"],
)  # fmt: skip
def test_floats_are_drawn_into_an_array_in_a_row(numbers: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        speedups.draw_floats((1, 2), 0, "normal", 0.0, 1.0, numbers)
    assert not numbers.any()


@given(lines=st.binary(max_size=200) | st.just(b"12\n" * 50), offset=anything, count=anything)
@example(b"1\n2\n", 0, 1)
@example(b"1\n2\n", 0, 3)
@example(b"1\n2", 0, 2)
@example(b"", 0, 1)
@example(b"", 0, 0)
@example(b"1\n", 2**64 - 1, 1)
@example(b"1\n", 2**64, 1)
@example(b"1\n", -1, 1)
@example(b"1\n", 0, 2**64 + 1)
@example(b"1\n", 0, 2**63)
def test_offsets_are_put_before_as_many_lines_as_there_are(lines: bytes, offset: int, count: int) -> None:
    many = lines.count(b"\n")
    if count == many and lines[-1:] in (b"", b"\n") and 0 <= offset < 2**64 - count:
        expected = b"".join(b"%d,%s\n" % (offset + n, line) for n, line in enumerate(lines.split(b"\n")[:-1]))
        assert speedups.put_csv_lines(lines, offset, count) == expected
    else:
        with pytest.raises(ValueError, match="lines"):
            speedups.put_csv_lines(lines, offset, count)


def test_no_family_but_those_known_is_drawn() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        speedups.draw_floats((1, 2), 0, "gamma", 0.0, 1.0, np.empty(1))
    with pytest.raises(ValueError, match="not in tuple"):
        speedups.draw_float_lines((1, 2), 0, 1, "gamma", 0.0, 1.0, np.empty(25, np.uint8))


@given(data=st.binary(max_size=200) | st.just(b"12\n" * 50), start=anything, end=anything)
@example(b"1\n2\n", 2, 2)
@example(b"1\n2\n", 3, 2)
@example(b"1\n2\n", 0, 2**64 + 4)
@example(b"1\n2\n", 2**64 - 2, 2)
@example(b"1\n2", 0, 3)
def test_nothing_is_counted_outside_the_data(data: bytes, start: int, end: int) -> None:
    is_within = 0 <= start < end <= len(data)
    lines = data[start:end].count(b"\n") if is_within else 0
    assert speedups.count_lines(data, start, end) in (0, lines)


@pytest.mark.parametrize("data", [bytearray(b"1\n"), memoryview(b"1\n"), "1\n"])
def test_only_bytes_are_looked_at(data: Any) -> None:
    with pytest.raises(ctypes.ArgumentError):
        speedups.count_lines(data, 0, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "define", "rounds"),
    [
        ("lines_alone", "", 2000),
        ("parse_alone", "", 50000),
        ("floats_alone", "", 500),
        ("floats_alone", "-DNO_CLONES", 500),
    ],
)
def test_no_byte_is_read_or_written_outside_its_room(tmp_path: Path, program: str, define: str, rounds: int) -> None:
    alone = tmp_path / "alone"
    sources = [Path(__file__).with_name(f"{program}.c"), *SOURCES]
    flags = f"-std=c11 -O1 -w -fno-math-errno -fsanitize=address,undefined -fno-sanitize-recover=all {define} -o"
    built = subprocess.run(["cc", *flags.split(), alone, *sources], capture_output=True, text=True, check=False)
    assert SOURCES
    if "cannot find" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert (built.returncode, built.stderr) == (0, "")
    run = subprocess.run([alone], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{rounds}\n", "")


@pytest.mark.skipif(not SOURCES, reason="the package has no sources beside it")
@pytest.mark.parametrize("define", ["__clang__", "NO_CLONES"])
def test_a_compiler_that_cannot_compile_twice_compiles_once(define: str) -> None:
    compiler = ["cc", "-E", f"-D{define}", f"-I{SOURCES[0].parent}", "-"]
    given = '#include "clones.h"\nCLONED size_t f(void);'
    made = subprocess.run(compiler, input=given, capture_output=True, text=True, check=True).stdout
    assert made.splitlines()[-1].strip() == "size_t f(void);"


@pytest.mark.slow
@pytest.mark.parametrize("in_order", [1, -1])
def test_a_library_needs_no_order_of_what_runs_when_it_is_loaded(tmp_path: Path, in_order: int) -> None:
    path = tmp_path / "libspeedups.so"
    without_priorities = "-Dconstructor(priority)=constructor"  # as on macOS
    sources = SOURCES[::in_order]
    subprocess.run(["cc", "-std=c11", "-w", without_priorities, "-shared", "-fPIC", "-o", path, *sources], check=True)
    library = speedups.load(str(path))
    assert library is not None
    numbers, room = np.array([0.1, -1e23]), np.empty(64, np.uint8)
    size = library.put_float_lines_within(numbers.ctypes.data, 2, room.ctypes.data, 64)
    assert bytes(room[:size]) == b"0.1\n-1e+23\n"


def test_no_more_numbers_are_parsed_than_there_is_room_for() -> None:
    lines = b"1\n22\n333\n"
    for dtype in (np.int64, np.uint64, np.float64):
        space = np.full(4, 7, dtype)
        for room in range(3):
            found = parse(lines, 0, space[1 : room + 1])
            assert found == (room, sum(len(line) for line in lines.splitlines(keepends=True)[:room]))
            assert space.tolist() == [7, *[1, 22][:room], *[7] * (3 - room)]


@pytest.mark.parametrize("start", [-1, -(10**12), 3, 2**64 - 1])
@pytest.mark.parametrize("dtype", ["i8", "u8", "f8"])
def test_nothing_is_parsed_outside_the_lines(dtype: str, start: int) -> None:
    with pytest.raises(ValueError, match="no byte"):
        parse(b"1\n", start, np.zeros(1, dtype))


@pytest.mark.parametrize(
    "room", [np.zeros(4, "f4"), np.zeros(4, "i1"), np.zeros(4, ">i8"), np.zeros(8)[::2], np.zeros(8, "u8")[::-2]]
)
def test_parsed_numbers_get_arrays_in_a_row_of_their_type(room: Any) -> None:
    for parse_any in (parse, speedups.parse_integer_lines):
        with pytest.raises(TypeError, match="numbers in a row"):
            parse_any(b"1\n2\n3\n4\n", 0, room)
    assert not room.any()


@pytest.mark.parametrize("dtype", ["i8", "u8", "f8"])
def test_parsed_numbers_get_no_array_that_is_read_only(dtype: str) -> None:
    room = np.zeros(1, dtype)
    room.flags.writeable = False
    with pytest.raises(ValueError, match="not be written"):
        parse(b"1\n", 0, room)
    assert room[0] == 0


def parse(lines: bytes, start: int, numbers: Any) -> tuple[int, int]:
    if numbers.dtype.kind == "f":
        return speedups.parse_float_lines(lines, start, numbers)
    return speedups.parse_integer_lines(lines, start, numbers)
