"""Batches: numbers as arrays, acknowledged once the body of the loop has finished with them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.sinks.feeding import OFFERED, OTHER, beat, take
from tests.support.stream import stream

from randstream.errors import SettingsError, SinkError
from randstream.numbers.stream import NumberStream
from randstream.sinks.batches import Batch, BatchSink


async def test_batch_is_acknowledged_only_after_its_body() -> None:
    sink = BatchSink()
    assert await sink.open(OFFERED) is None
    sink.begin(0)
    take(sink, 0, 3)
    batch = await sink.next_batch()
    assert batch is not None
    assert (batch.stream, batch.offset, batch.end_offset) == (OFFERED.stream, 0, 3)
    assert batch.numbers.tolist() == stream().read(0, 3).tolist()
    sink.prove(beat(3))
    commit = asyncio.ensure_future(sink.commit())
    await asyncio.sleep(0)
    assert not commit.done()
    asking = asyncio.ensure_future(sink.next_batch())
    assert await commit == 3
    sink.finish(is_done=False)
    assert await asking is None


@pytest.mark.parametrize("line", [b"1-2", b"2.5", b"9223372036854775808"])
async def test_what_is_no_number_of_its_stream_is_an_error_that_names_it(line: bytes) -> None:
    sink = BatchSink()
    await sink.open(OFFERED)
    sink.begin(5)
    sink.append(b"7\n" + line + b"\n", 2)
    with pytest.raises(
        SinkError, match=f"^offset 6 of stream {OFFERED.stream}: not a number of type int64: '{line.decode()}'"
    ):
        await sink.next_batch()


async def test_batch_whose_body_failed_is_not_acknowledged() -> None:
    sink = BatchSink()
    await sink.open(OFFERED)
    sink.begin(0)
    take(sink, 0, 3)
    await sink.next_batch()
    sink.prove(beat(3))
    sink.finish(is_done=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(sink.commit(), 0)


async def test_a_new_connection_drops_waiting_numbers_and_waits_for_the_batch_in_hand() -> None:
    sink = BatchSink()
    await sink.open(OFFERED)
    sink.begin(0)
    take(sink, 0, 3)
    await sink.next_batch()
    take(sink, 3, 2)
    opening = asyncio.ensure_future(sink.open(OFFERED))
    await asyncio.sleep(0)
    assert not opening.done()
    sink.finish(is_done=True)
    assert await opening == 3


async def test_saved_offset_counts_only_for_the_stream_it_was_saved_with() -> None:
    sink = BatchSink(700, stream().id)
    assert await sink.open(OTHER) is None
    assert await sink.open(OFFERED) == 700
    assert await BatchSink(700).open(OTHER) == 700


@pytest.mark.parametrize("offset", [np.int64(700), np.uint16(700), np.array(700)])
async def test_saved_offset_may_be_an_integer_of_any_type_and_is_not_changed_in_place(offset: Any) -> None:
    sink = BatchSink(offset)
    assert await sink.open(OFFERED) == 700
    take(sink, 700, 3)
    batch = await sink.next_batch()
    assert batch is not None
    assert (batch.offset, type(batch.offset), batch.end_offset) == (700, int, 703)
    assert offset == 700


@pytest.mark.parametrize("offset", [-1, 2**63, np.int64(-1)])
def test_an_offset_that_no_stream_has_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match=r"^offset is -?[0-9]+; give one from 0 to 2\^63 - 1$"):
        BatchSink(offset)


@pytest.mark.parametrize("offset", [5.0, "5", True, [5], np.array([5])])
def test_an_offset_that_is_no_integer_is_refused(offset: Any) -> None:
    with pytest.raises(TypeError, match=r"^offset is of type [a-z]+; give an integer$"):
        BatchSink(offset)


@pytest.mark.parametrize("name", ["junk", "", "6AE2A63A0AC05109", "6ae2a63a0ac0510", "6ae2a63a0ac05109\n", b"junk", 5])
def test_a_stream_that_cannot_be_one_is_refused(name: Any) -> None:
    with pytest.raises(SettingsError, match=r"^stream is .*; give what Batch.stream was, 16 of 0-9 a-f, or None$"):
        BatchSink(5, name)


def test_a_batch_made_by_hand_ends_where_it_should() -> None:
    numbers = np.arange(10)
    batch = Batch("6ae2a63a0ac05109", np.uint8(250), numbers)  # type: ignore[arg-type] # any kind of integer
    assert batch.end_offset == 260
    with pytest.raises(ValueError, match=r"^offset is -1"):
        Batch("6ae2a63a0ac05109", -1, numbers)


async def test_distribution_that_cannot_be_read_is_a_sink_error() -> None:
    with pytest.raises(SinkError, match="cannot be read"):
        await BatchSink().open(replace(OFFERED, numbers="primes:7"))


@pytest.mark.parametrize(
    ("distribution", "dtype"),
    [
        *(("integers:-5:5", np.int64), ("integers:-9223372036854775808:9223372036854775807", np.int64)),
        *(
            ("bits64", np.uint64),
            ("bernoulli:0.5", np.int64),
            ("poisson:3.0", np.int64),
            ("normal:0.0:1.0", np.float64),
        ),
    ],
)
async def test_batch_has_the_type_of_its_distribution_and_every_number_exactly(distribution: str, dtype: type) -> None:
    numbers = NumberStream("42", "worker-0", distribution)
    sink = BatchSink()
    await sink.open(replace(OFFERED, stream=numbers.id, numbers=distribution))
    sink.begin(7)
    sink.append(numbers.lines(7, 100), 100)
    batch = await sink.next_batch()
    assert batch is not None
    assert batch.numbers.dtype == dtype
    assert batch.numbers.tolist() == numbers.read(7, 100).tolist()


async def test_what_waits_of_an_older_stream_is_dropped_once_another_stream_begins() -> None:
    sink = BatchSink()
    await sink.open(OFFERED)
    sink.begin(0)
    await sink.open(OTHER)
    take(sink, 0, 3)  # late, from the older connection
    sink.begin(100)
    take(sink, 100, 2)
    batch = await sink.next_batch()
    assert batch is not None
    assert (batch.stream, batch.offset, len(batch.numbers)) == (OTHER.stream, 100, 2)
