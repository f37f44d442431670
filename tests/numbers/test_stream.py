"""NumberStream: the same numbers from every offset, by every path, on every thread."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from randstream.errors import SettingsError
from randstream.numbers.distributions import parse_distribution
from randstream.numbers.stream import BLOCK, FEW, NumberStream, to_lines

pytestmark = pytest.mark.usefixtures("speedups_or_not")
END = 2**63 - 1
"""The offset after the last number."""

EVERY_KIND = ["integers:1:100", "bits64", "uniform:0:1", "exponential:1", "normal:0:1"]


def philox_word(key: tuple[int, int], n: int) -> int:
    """Word n, in big integers. Source: Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC11)."""
    k0, k1 = key
    counter = n // 4 + 1  # NumPy counts up before it makes a block
    x = [counter >> 64 * i & 2**64 - 1 for i in range(4)]
    for _ in range(10):
        product0, product1 = x[0] * 0xD2E7470EE14C6C93, x[2] * 0xCA5A826395121157
        x = [product1 >> 64 ^ x[1] ^ k0, product1 % 2**64, product0 >> 64 ^ x[3] ^ k1, product0 % 2**64]
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % 2**64, (k1 + 0xBB67AE8584CAA73B) % 2**64
    return x[n % 4]


def spelled(x: float) -> str:
    """The specification's text of a float, made from Python's."""
    mantissa, _, exponent = repr(x).partition("e")
    if not exponent:
        return mantissa
    if exponent == "-05":
        sign = "-" if x < 0 else ""
        return f"{sign}0.0000{mantissa.lstrip('-').replace('.', '')}"
    return f"{mantissa}e{int(exponent):+d}"


# Which numbers


def test_the_stream_of_the_specification_is_made() -> None:
    stream = NumberStream("42", "worker-0", "integers:1:100")
    assert stream.id == "6ae2a63a0ac05109"
    assert stream.lines(0, 8) == b"10\n60\n77\n74\n14\n5\n64\n49\n"
    assert stream.lines(1200, 2) == b"52\n78\n"


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 1_000_003, 2**32 - 1, 2**32, 2**34 + 1, 2**62 + 7, END - 1])
def test_word_n_is_that_of_philox_keyed_by_the_digest(n: int) -> None:
    digest = blake2b("randstream-numbers/1\nπ\nworker-0\nbits64\n".encode(), digest_size=24).digest()
    key = (int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"))
    stream = NumberStream("π", "worker-0", "bits64")
    assert stream.id == digest[16:].hex()
    assert stream.read(n, 1).tolist() == [philox_word(key, n)]


def test_words_are_the_raw_words_of_numpy() -> None:
    digest = blake2b(b"randstream-numbers/1\n42\nworker-0\nbits64\n", digest_size=24).digest()
    words = np.random.Philox(key=np.frombuffer(digest[:16], "<u8").astype(np.uint64)).random_raw(1000)
    assert np.array_equal(NumberStream("42", "worker-0", "bits64").read(0, 1000), words)


def test_seed_worker_and_distribution_each_make_another_stream() -> None:
    streams = [
        NumberStream(seed, worker, distribution)
        for seed in ("42", "43")
        for worker in ("worker-0", "worker-1")
        for distribution in ("integers:1:100", "integers:0:99")
    ]
    assert len({stream.id for stream in streams}) == len(streams)
    assert len({tuple(stream.read(0, 8)) for stream in streams}) == len(streams)


def test_a_distribution_makes_the_stream_of_its_spelling() -> None:
    spelled_otherwise = NumberStream("42", "worker-0", "normal:+0:1.00")
    made = NumberStream("42", "worker-0", parse_distribution("normal:0.0:1.0"))
    assert spelled_otherwise.id == made.id
    assert spelled_otherwise.lines(0, 100) == made.lines(0, 100)


# Every path


@pytest.mark.parametrize("distribution", EVERY_KIND)
@given(
    offset=st.integers(0, END - 40) | st.integers(0, 100),
    cuts=st.lists(st.integers(0, 40), max_size=4).map(sorted),
)
def test_any_slicing_makes_the_same_lines(distribution: str, offset: int, cuts: list[int]) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    ends = [0, *cuts, 40]
    pieces = [stream.lines(offset + a, b - a) for a, b in pairwise(ends)]
    assert b"".join(pieces) == stream.lines(offset, 40)


@pytest.mark.parametrize("distribution", EVERY_KIND)
@pytest.mark.parametrize("count", [FEW, FEW + 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])
def test_lines_are_the_numbers_read(distribution: str, count: int) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    text = stream.lines(BLOCK + 3, count)
    assert isinstance(text, bytes)
    assert text.endswith(b"\n")
    numbers = [orjson.loads(line) for line in text.splitlines()]
    assert numbers == stream.read(BLOCK + 3, count).tolist()


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, BLOCK + 1])
def test_a_stream_ends_after_number_two_to_the_63_less_two(count: int) -> None:
    stream = NumberStream("42", "worker-0", "bits64")
    assert stream.lines(END - count, count).count(b"\n") == count
    assert len(stream.read(END - count, count)) == count
    for method in (stream.lines, stream.read):
        with pytest.raises(ValueError, match="a stream has 0 to 2"):
            method(END - count + 1, count)


@pytest.mark.parametrize(
    ("offset", "count"),
    [(-1, 1), (0, -1), (END + 1, 0), (0, 2**63), (0, np.int8(-1)), (np.int64(END - 2), np.int64(5))],
)
def test_what_is_not_within_a_stream_is_refused(offset: int, count: int) -> None:
    stream = NumberStream("42", "worker-0", "bits64")
    for method in (stream.lines, stream.read, stream.view):
        with pytest.raises(ValueError, match=r"a stream has 0 to 2|give one from 0 to 2"):
            method(offset, count)


@pytest.mark.parametrize("distribution", EVERY_KIND)
@pytest.mark.parametrize(
    ("offset", "count"),
    [
        (0, np.uint16(5000)), (1, np.uint8(255)), (np.uint8(255), np.uint8(255)), (np.array(3), np.array(20)),
        (np.int32(2**31 - 1), np.int32(17)), (np.uint64(2**63 - 300), np.int16(299)),
    ],
)  # fmt: skip
def test_an_integer_of_any_type_is_an_offset_and_a_count(distribution: str, offset: Any, count: Any) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    assert stream.lines(offset, count) == stream.lines(int(offset), int(count))
    assert stream.read(offset, count).tolist() == stream.read(int(offset), int(count)).tolist()


@pytest.mark.parametrize("value", [5.0, "5", None, True, np.float64(5), np.array([5])])
def test_what_is_no_integer_is_no_offset_and_no_count(value: Any) -> None:
    stream = NumberStream("42", "worker-0", "bits64")
    for method in (stream.lines, stream.read, stream.view):
        with pytest.raises(TypeError, match=r"^offset is of type"):
            method(value, 1)
        with pytest.raises(TypeError, match=r"^count is of type"):
            method(0, value)


@pytest.mark.parametrize("offset", [0, 3, END])
def test_no_numbers_are_no_bytes(offset: int) -> None:
    stream = NumberStream("42", "worker-0", "normal:0:1")
    assert stream.lines(offset, 0) == b""
    assert stream.read(offset, 0).shape == (0,)


def test_threads_drawing_at_once_do_not_disturb_each_other() -> None:
    streams = [NumberStream("42", f"worker-{i}", "bits64") for i in range(4)]
    expected = [stream.read(5, 50_000) for stream in streams]
    start = threading.Barrier(len(streams))
    agree = [False] * len(streams)

    def draw(i: int) -> None:
        start.wait()
        agree[i] = all(np.array_equal(streams[i].read(5, 50_000), expected[i]) for _ in range(10))

    threads = [threading.Thread(target=draw, args=(i,)) for i in range(len(streams))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(agree)


# Text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=2 * FEW))
@example([1e-5, 9.999999999999999e-6, 0.0001, 1e16, 9999999999999998.0, 1.5e-7, 5e-324, 1e22, 1e23] * 2)
def test_floats_are_spelled_as_the_specification_says(numbers: list[float]) -> None:
    expected = "".join(f"{spelled(x)}\n" for x in numbers).encode()
    assert to_lines(numbers) == expected
    assert to_lines(np.array(numbers)) == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=2 * FEW))
def test_integers_are_spelled_in_decimal(numbers: list[int]) -> None:
    expected = "".join(f"{x}\n" for x in numbers).encode()
    assert to_lines(list(numbers)) == expected
    assert to_lines(np.array(numbers, np.int64)) == expected


# Arguments


@pytest.mark.parametrize("seed", ["42", 42, np.uint8(42), " \t42\r\n", "\ufeff42"])
def test_a_seed_is_text_or_an_integer(seed: Any) -> None:
    assert NumberStream(seed, "worker-0", "integers:1:100").id == "6ae2a63a0ac05109"


@pytest.mark.parametrize("seed", ["", b"42", None, 42.0, True])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(SettingsError, match=r"^the seed is"):
        NumberStream(seed, "worker-0", "bits64")


@pytest.mark.parametrize("distribution", ["dice", b"bits64", 5, None])
def test_what_is_no_distribution_is_refused(distribution: Any) -> None:
    with pytest.raises(SettingsError, match="is no distribution; use"):
        NumberStream("42", "worker-0", distribution)


@pytest.mark.parametrize("worker", ["", "-a", ".a", "a b", "a\n", "ü", "a/b", "a" * 129, 0, None, b"worker-0"])
def test_what_is_no_name_is_refused(worker: Any) -> None:
    with pytest.raises(SettingsError, match="is no worker's name") as caught:
        NumberStream("42", worker, "bits64")
    assert "\n" not in str(caught.value)


def test_a_stream_neither_shows_nor_keeps_its_seed() -> None:
    stream = NumberStream("correct horse", "worker-0", "bits64")
    assert repr(stream) == f"<NumberStream {stream.id} worker=worker-0 numbers=bits64>"
    assert not hasattr(stream, "__dict__")
    assert "correct horse" not in [getattr(stream, name) for name in NumberStream.__slots__]


def test_a_stream_takes_less_than_a_kilobyte() -> None:
    distribution = parse_distribution("normal:0:1")
    gc.collect()
    tracemalloc.start()
    try:
        streams = [NumberStream("42", f"worker-{i}", distribution) for i in range(1000)]
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 1024 * len(streams)
