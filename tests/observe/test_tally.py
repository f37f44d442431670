"""Tally: durations in buckets, and counts on which both ends agree."""

from __future__ import annotations

from tests.support.roles import a_pair

from randstream.observe.tally import TIME_BOUNDS, Buckets


def test_a_duration_falls_below_every_bound_that_it_does_not_exceed() -> None:
    buckets = Buckets()
    for seconds in (0.0, TIME_BOUNDS[0], TIME_BOUNDS[0] * 1.001, TIME_BOUNDS[-1], TIME_BOUNDS[-1] + 1):
        buckets.observe(seconds)
    assert buckets.counts == [2, 1, *[0] * (len(TIME_BOUNDS) - 3), 1, 1]
    assert buckets.total > 2 * TIME_BOUNDS[-1]


async def test_both_ends_count_the_same_numbers() -> None:
    async with a_pair(discard=True) as (producer, worker):
        pass
    assert producer.tally.numbers == producer.tally.acked_numbers == worker.tally.numbers == worker.tally.acked_numbers
    assert producer.tally.number_bytes == worker.tally.number_bytes
    assert producer.tally.numbers == producer.links[0].offset == worker.intake.offset
    assert sum(producer.tally.round_trips.counts) > 0
    assert sum(worker.tally.commits.counts) > 0
