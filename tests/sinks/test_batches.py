"""Batches: numbers as arrays, acknowledged once the body of the loop has finished with them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from tests.sinks.feeding import OFFERED, OTHER, beat, take
from tests.support.stream import stream

from randstream.errors import SinkError
from randstream.numbers.stream import NumberStream
from randstream.sinks.batches import BatchSink


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
