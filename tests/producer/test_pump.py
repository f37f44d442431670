"""Pump: what is due, in order and without a gap, and never more than there is room for."""

from __future__ import annotations

import math
from typing import cast

import pytest
from tests.support.stream import stream

from randstream.net.connection import Connection
from randstream.net.timers import NOW
from randstream.numbers.text import LONGEST_LINE_BYTES, longest_line_bytes
from randstream.observe.tally import Tally
from randstream.producer.pacing import Pacer
from randstream.producer.pump import RUN_NUMBERS, Pump
from randstream.protocol import MAX_INTERVAL_BYTES, MAX_OFFSET
from randstream.protocol.frames import Lines

ROOM = 2**25
LINE = longest_line_bytes(stream().distribution)


class Wire:
    """A connection as a pump sees it, and the pump that sends there."""

    def __init__(self, offset: int = 0, rate: float = 1000) -> None:
        self.is_writable = True
        self.room = ROOM
        self.next_due = 0.0
        self.offset = offset
        self.sent: list[tuple[bytes, int]] = []
        self.tally = Tally()
        self.pump = Pump(stream(), Pacer(rate, 0.0), cast("Connection", self), self._send, self.tally)

    def poke(self, when: float) -> None:
        self.next_due = when

    def expect_runs(self, size: int) -> None:
        self.run_bytes = size

    def next_run(self, now: float, room: int) -> tuple[bytes, int] | None:
        """What one push sends."""
        before = len(self.sent)
        self.pump.push(self.offset, room, now)
        return self.sent[-1] if len(self.sent) > before else None

    def _send(self, lines: Lines, count: int, now: float) -> None:
        self.sent.append((bytes(lines), count))
        self.offset += count


a_pump = Wire


def test_runs_are_what_is_due() -> None:
    pump = a_pump(3, rate=10)
    assert pump.next_run(0.05, ROOM) is None
    assert pump.next_due == pytest.approx(0.1)
    assert pump.next_run(0.45, ROOM) == (stream().lines(3, 4), 4)
    assert pump.next_run(0.45, ROOM) is None
    assert pump.next_run(0.55, ROOM) == (stream().lines(7, 1), 1)


@pytest.mark.parametrize("rate", [1e9, math.inf])
def test_what_is_more_than_a_run_comes_in_many_in_order_without_a_gap(rate: float) -> None:
    pump, offset = a_pump(7, rate), 7
    while offset < 7 + 5 * RUN_NUMBERS:
        assert pump.next_due <= 1.0
        run = pump.next_run(1.0, ROOM)
        assert run == (stream().lines(offset, RUN_NUMBERS), RUN_NUMBERS)
        offset += RUN_NUMBERS


def test_at_full_speed_there_is_always_a_run() -> None:
    pump = a_pump(rate=math.inf)
    for now in [0.005] * 10 + [0.005001, 0.1, 3600.0, 3600.0]:
        assert pump.next_due <= now
        assert pump.next_run(now, ROOM) is not None


def test_a_run_waits_for_room_that_holds_it_even_if_every_number_were_the_longest() -> None:
    pump = a_pump()
    assert pump.next_run(0.0105, 0) is None
    assert pump.next_run(0.0105, 10 * LINE - 1) is None
    assert pump.pump.waits_for_room
    assert pump.next_run(0.0105, 10 * LINE) == (stream().lines(0, 10), 10)
    assert RUN_NUMBERS * LONGEST_LINE_BYTES < MAX_INTERVAL_BYTES


@pytest.mark.parametrize("rate", [1000, math.inf])
@pytest.mark.parametrize("left", [1, 5])
def test_the_last_run_ends_with_the_last_number_of_the_stream(left: int, rate: float) -> None:
    pump = a_pump(MAX_OFFSET - left, rate)
    assert pump.next_due < 1
    assert pump.next_run(1.0, ROOM) == (stream().lines(MAX_OFFSET - left, left), left)
    assert pump.next_run(2.0, ROOM) is None
    assert pump.next_due == math.inf
    ended = a_pump(MAX_OFFSET, rate)
    assert ended.next_run(1.0, ROOM) is None
    assert ended.next_due == math.inf


def test_a_connection_with_little_room_gets_a_part_of_what_is_due_and_then_the_rest() -> None:
    pump = a_pump(rate=math.inf)
    assert pump.run_bytes == RUN_NUMBERS * LINE
    pump.room = 1000 * LINE + 1
    assert pump.next_run(1.0, ROOM) == (stream().lines(0, 1000), 1000)
    assert not pump.pump.waits_for_room
    assert pump.next_due == NOW
    assert pump.next_run(1.0, ROOM) == (stream().lines(1000, 1000), 1000)
