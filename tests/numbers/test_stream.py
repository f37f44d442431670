"""NumberStream: the same numbers from every offset, by every path, on every thread."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import tracemalloc
from hashlib import blake2b
from itertools import islice, pairwise
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from randstream.errors import SettingsError
from randstream.numbers.distributions import Bits64, parse_distribution
from randstream.numbers.stream import BLOCK, FEW, NumberStream

pytestmark = pytest.mark.usefixtures("speedups_or_not")
END = 2**63 - 1
"""The offset after the last number."""

EVERY_KIND = [
    *(
        "integers:1:100",
        "integers:-1:4294967296",
        f"integers:{-(2**63)}:{2**63 - 1}",
        f"integers:{-(2**63)}:0",
        "bits64",
    ),
    *("bernoulli:0.5", "poisson:3", "poisson:1000", "uniform:0:1", "exponential:1", "normal:0:1"),
]


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
    for method in (stream.lines, stream.read, stream.view, stream.iter_blocks):
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


# Into an array, and block by block


@pytest.mark.parametrize("distribution", EVERY_KIND)
@pytest.mark.parametrize("count", [0, 1, FEW + 1, BLOCK, 2 * BLOCK + 3])
def test_numbers_are_written_into_the_array_that_is_given(distribution: str, count: int) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    numbers = stream.read(3, count)
    whole = np.zeros(2 * count + 2, stream.distribution.dtype)
    for out in (whole[1 : count + 1], whole[1 : 2 * count + 1 : 2], whole[count:0:-1], np.ma.MaskedArray(numbers * 0)):
        whole[:] = 0
        assert stream.read(3, count, out=out) is out
        assert np.array_equal(np.asarray(out), numbers)
        assert (whole[0], whole[-1]) == (0, 0)


@pytest.mark.parametrize("distribution", EVERY_KIND)
def test_an_array_may_begin_at_any_byte(distribution: str) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    out = np.frombuffer(bytearray(8 * 20 + 1), stream.distribution.dtype, 20, 1)
    assert not out.flags.aligned
    assert np.array_equal(stream.read(3, 20, out=out), stream.read(3, 20))


def test_a_masked_array_gets_its_data_whatever_its_mask() -> None:
    stream = NumberStream("42", "worker-0", "bits64")
    out = np.ma.MaskedArray(np.zeros(4, np.uint64), mask=[False, True, False, True], hard_mask=True)
    assert np.array_equal(stream.read(0, 4, out=out).data, stream.read(0, 4))


@pytest.mark.parametrize(
    ("out", "error", "says"),
    [
        ([0.0] * 3, TypeError, "out is a list; give a NumPy array"),
        (memoryview(bytearray(24)), TypeError, "out is a memoryview; give a NumPy array"),
        (np.zeros(3, np.float32), TypeError, "out has dtype float32, but uniform:0.0:1.0 makes float64"),
        (np.zeros(3, np.int64), TypeError, "out has dtype int64, but"),
        (np.zeros(3, object), TypeError, "out has dtype object, but"),
        (np.zeros(3, np.dtype(float).newbyteorder()), TypeError, "out has dtype"),
        (np.zeros(2), ValueError, r"out has shape \(2,\); give \(3,\)"),
        (np.zeros(4), ValueError, r"out has shape \(4,\); give \(3,\)"),
        (np.zeros((3, 1)), ValueError, r"out has shape \(3, 1\); give \(3,\)"),
        (np.array(0.0), ValueError, r"out has shape \(\); give \(3,\)"),
        (np.frombuffer(bytes(24)), ValueError, "out is read-only"),
        (np.broadcast_to(0.0, 3), ValueError, "out is read-only"),
    ],
)
def test_an_array_that_cannot_take_the_numbers_is_refused(out: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"^{says}") as caught:
        NumberStream("42", "worker-0", "uniform:0:1").read(0, 3, out=out)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("distribution", EVERY_KIND)
def test_what_is_read_into_an_array_is_made_in_little_room(distribution: str) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    out = np.empty(40 * BLOCK, stream.distribution.dtype)
    stream.read(0, BLOCK, out=out[:BLOCK])
    tracemalloc.start()
    try:
        stream.read(0, len(out), out=out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < out.nbytes / 2


@pytest.mark.parametrize("distribution", EVERY_KIND)
@pytest.mark.parametrize(("count", "block"), [(0, 5), (1, 5), (5, 5), (14, 5), (15, 5), (16, 1), (3, 2**70 >> 8)])
def test_blocks_are_the_numbers_read(distribution: str, count: int, block: int) -> None:
    stream = NumberStream("42", "worker-0", distribution)
    blocks = list(stream.iter_blocks(7, count, block=block))
    assert [len(each) for each in blocks] == [min(block, count - at) for at in range(0, count, block)]
    numbers = np.concatenate(blocks) if blocks else np.empty(0)
    assert np.array_equal(numbers, stream.read(7, count))


def test_blocks_go_on_to_the_end_of_the_stream_and_are_the_callers_own() -> None:
    stream = NumberStream("42", "worker-0", "bits64")
    first, second = islice(stream.iter_blocks(), 2)
    assert (len(first), len(second)) == (BLOCK, BLOCK)
    first[:] = 0
    assert np.array_equal(second, stream.read(BLOCK, BLOCK))
    last = list(stream.iter_blocks(END - 7, block=np.uint8(5)))
    assert [len(each) for each in last] == [5, 2]
    assert np.array_equal(np.concatenate(last), stream.read(END - 7, 7))
    assert list(stream.iter_blocks(END)) == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((0, 5, 0), ValueError), ((0, 5, -1), ValueError), ((0, 5, 2.0), TypeError), ((0.0, 5, 1), TypeError)],
)
def test_blocks_that_cannot_be_are_refused_before_the_first(arguments: Any, error: type[Exception]) -> None:
    offset, count, block = arguments
    with pytest.raises(error, match="give"):
        NumberStream("42", "worker-0", "bits64").iter_blocks(offset, count, block=block)


# As a value


ALIKE: list[Any] = [
    ("42", "worker-0", "uniform:0:1"),
    (" 42\n", "worker-0", "uniform:-0.0:1e0"),
    ("42", "worker-0", parse_distribution("uniform:0:1")),
]
OTHERS = [("43", "worker-0", "uniform:0:1"), ("42", "worker-1", "uniform:0:1"), ("42", "worker-0", "uniform:0:2")]


def test_streams_are_equal_if_they_are_the_same_stream() -> None:
    alike, others = [NumberStream(*each) for each in ALIKE], [NumberStream(*each) for each in OTHERS]
    assert len({*alike}) == 1
    assert all(each == alike[0] for each in alike)
    assert len({*alike, *others}) == 4
    assert all(each != alike[0] for each in others)
    assert alike[0] != alike[0].id


def test_a_stream_does_not_change() -> None:
    stream: Any = NumberStream("42", "worker-0", "bits64")
    for name in ("id", "worker", "distribution", "_key", "seed"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(stream, name, "other")
        with pytest.raises((AttributeError, TypeError)):
            delattr(stream, name)
    assert stream == NumberStream("42", "worker-0", "bits64")


@pytest.mark.parametrize("distribution", EVERY_KIND)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_the_same_stream_and_holds_no_seed(distribution: str, protocol: int) -> None:
    stream = NumberStream("correct horse", "worker-0", distribution)
    text = pickle.dumps(stream, protocol)
    again = pickle.loads(text)
    assert b"horse" not in text
    assert (again, hash(again), repr(again)) == (stream, hash(stream), repr(stream))
    assert np.array_equal(again.read(5, 100), stream.read(5, 100))
    assert again.lines(5, 100) == stream.lines(5, 100)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_same_stream(copied: Any) -> None:
    stream = NumberStream("42", "worker-0", "normal:0:1")
    assert copied(stream) == stream
    assert copied({stream: [stream]}) == {stream: [stream]}


# Arguments


@pytest.mark.parametrize("seed", ["42", 42, np.uint8(42), " \t42\r\n", "\ufeff42"])
def test_a_seed_is_text_or_an_integer(seed: Any) -> None:
    assert NumberStream(seed, "worker-0", "integers:1:100").id == "6ae2a63a0ac05109"


@pytest.mark.parametrize("seed", ["", b"42", None, 42.0, True])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(SettingsError, match=r"^the seed is"):
        NumberStream(seed, "worker-0", "bits64")


@pytest.mark.parametrize("distribution", ["dice", b"bits64", 5, None, Bits64])
def test_what_is_no_distribution_is_refused(distribution: Any) -> None:
    with pytest.raises(SettingsError, match="is not a distribution; use"):
        NumberStream("42", "worker-0", distribution)


@pytest.mark.parametrize("worker", ["", "-a", ".a", "a b", "a\n", "ü", "a/b", "a" * 129, 0, None, b"worker-0"])
def test_what_is_no_name_is_refused(worker: Any) -> None:
    with pytest.raises(SettingsError, match="is not a worker's name") as caught:
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
