"""Immediate sinks by themselves: whose offset they name, and where they go back to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sinks.feeding import OFFERED, OTHER, beat, take

from randstream.errors import OfferError
from randstream.sinks.immediate import DiscardSink


async def test_immediate_sink_names_an_offset_only_for_the_stream_it_last_took_numbers_of() -> None:
    sink = DiscardSink()
    await sink.start()
    assert await sink.open(OFFERED) is None
    sink.begin(100)
    take(sink, 100, 5)
    assert await sink.open(OFFERED) == 105
    assert await sink.open(OTHER) is None
    assert await sink.open(OFFERED) == 105
    assert await sink.open(OTHER) is None
    sink.begin(0)
    assert await sink.open(OFFERED) is None
    await sink.close()


async def test_immediate_sink_never_takes_other_numbers_for_the_same_stream() -> None:
    sink = DiscardSink()
    await sink.open(OFFERED)
    sink.begin(100)
    with pytest.raises(OfferError, match=r"was of integers:1:100 before, not of integers:1:6"):
        await sink.open(replace(OFFERED, numbers="integers:1:6"))
    assert await sink.open(OFFERED) == 100


async def test_immediate_sink_goes_back_to_the_last_good_beat_and_names_what_had_gone_unproven() -> None:
    sink = DiscardSink()
    await sink.open(OFFERED)
    sink.begin(0)
    take(sink, 0, 5)
    sink.prove(beat(5))
    assert await sink.commit() == 5
    assert sink.rewind() is None
    take(sink, 5, 3)
    assert sink.rewind() == (5, 8)
    assert await sink.open(OFFERED) == 5


async def test_immediate_sink_keeps_what_a_plain_cut_left_unproven() -> None:
    sink = DiscardSink()
    await sink.open(OFFERED)
    sink.begin(0)
    take(sink, 0, 5)
    assert await sink.open(OFFERED) == 5
    assert sink.rewind() is None


async def test_raw_numbers_leave_the_offset_alone() -> None:
    sink = DiscardSink()
    await sink.open(OFFERED)
    sink.begin(7)
    sink.append_raw(b"1\n2\n")
    await sink.wait_room()
    assert await sink.open(OFFERED) == 7
