"""The timer wheel, under a loop and a clock that stand still until they are moved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.clock import clock_of_loop
from tests.support.waiting import until

from randstream.clock import Clock
from randstream.net.timers import NOW, TICK, Alarm, TimerWheel


class Handle:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Time(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = 1000.0) -> None:
        self.time = now
        self.handles: list[Handle] = []
        self.bugs: list[Exception] = []
        self.wheel = TimerWheel(self, self.bugs.append)

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        self.handles.append(Handle(when, callback))
        return self.handles[-1]

    def call_soon(self, callback: Callable[[], None]) -> Any:
        return self.call_at(self.time, callback)

    @property
    def pending(self) -> list[Handle]:
        return [handle for handle in self.handles if not handle.is_cancelled]

    def serve(self, early: float = 0.0) -> None:
        """Let time pass until the next timer is due, and call it."""
        handle = min(self.pending, key=lambda handle: handle.when)
        self.handles.remove(handle)
        self.time = max(self.time, handle.when - early)
        handle.callback()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        end = self.time + seconds
        while self.pending and min(handle.when for handle in self.pending) <= end:
            self.serve()
        self.time = end


def ringing(time: Time) -> tuple[Alarm, list[float]]:
    rung: list[float] = []
    return time.wheel.alarm(rung.append), rung


@given(start=st.floats(0, 1e8), waits=st.lists(st.floats(0, 1e4) | st.floats(0, 0.05), min_size=1, max_size=20))
def test_an_alarm_rings_once_never_early_and_at_most_a_tick_late(start: float, waits: list[float]) -> None:
    time = Time(start)
    alarms = [ringing(time) for _ in waits]
    for (alarm, _), wait in zip(alarms, waits, strict=True):
        alarm.set(start + wait)
    time.advance(1e5)
    for (alarm, rung), wait in zip(alarms, waits, strict=True):
        assert len(rung) == 1
        assert start + wait <= rung[0] <= (start + wait + TICK) * (1 + 1e-15)
        assert alarm.when == math.inf


@given(moves=st.lists(st.tuples(st.floats(0, 0.3), st.floats(-0.1, 1.0) | st.just(math.inf)), max_size=30))
def test_an_alarm_that_is_moved_about_rings_when_it_was_last_set_to(moves: list[tuple[float, float]]) -> None:
    time = Time()
    alarm, rung = ringing(time)
    due = math.inf
    for pause, wait in moves:
        before = len(rung)
        time.advance(pause)
        if due <= time.time - TICK - 1e-9:
            assert len(rung) == before + 1
        if len(rung) > before:
            assert due <= rung[-1] <= max(due, time.time - pause) + TICK + 1e-9
            due = math.inf
        due = time.time + wait
        alarm.set(due)
    before = len(rung)
    time.advance(5.0)
    assert len(rung) - before == (due < math.inf)


def test_alarms_within_a_tick_share_one_timer() -> None:
    time = Time()
    for number in range(1000):
        ringing(time)[0].set(1001.0 + TICK / 2000 * number)
    assert len(time.handles) <= 2


def test_moving_an_alarm_later_costs_no_timer() -> None:
    time = Time()
    alarm, rung = ringing(time)
    for tenth in range(100):
        alarm.set(1001.0 + tenth / 10)
    assert len(time.handles) == 1
    time.advance(10.0)
    assert not rung
    time.advance(1.0)
    assert len(rung) == 1


def test_an_alarm_moved_later_within_a_tick_is_not_early_either() -> None:
    time = Time()
    alarm, rung = ringing(time)
    alarm.set(1001.0001)
    alarm.set(1001.0099)
    time.advance(1.0)
    assert not rung
    time.advance(1.0)
    assert len(rung) == 1
    assert 1001.0099 <= rung[0] <= 1001.0099 + TICK


def test_an_alarm_moved_earlier_rings_earlier_and_only_once() -> None:
    time = Time()
    alarm, rung = ringing(time)
    alarm.set(1005.0)
    alarm.set(1001.0)
    assert len(time.pending) == 1
    time.advance(20.0)
    assert len(rung) == 1
    assert rung[0] == pytest.approx(1001.0, abs=TICK)


def test_an_alarm_that_sets_itself_to_the_past_does_not_hold_up_the_loop() -> None:
    time = Time()
    rung = itertools.count()

    def again(now: float) -> None:
        if next(rung) < 3:
            alarm.set(999.0)
            assert time.pending == [] or time.pending[0].when <= time.time

    alarm = time.wheel.alarm(again)
    alarm.set(1000.0)
    turns = 0
    while time.pending:
        time.serve()
        turns += 1
        assert turns < 10
    assert turns == 4


def test_an_alarm_set_to_now_rings_in_the_next_turn_and_not_at_the_next_tick() -> None:
    time = Time()
    first, rung_first = ringing(time)
    second, rung_second = ringing(time)
    later, rung_later = ringing(time)
    later.set(1000.002)
    for alarm in (first, second, first):
        alarm.set(NOW)
    assert len(time.pending) == 1
    time.serve()
    assert (time.time, rung_first, rung_second, rung_later) == (1000.0, [1000.0], [1000.0], [])
    time.advance(TICK)
    assert (len(rung_first), len(rung_second), len(rung_later)) == (1, 1, 1)


async def test_an_alarm_that_is_always_set_to_now_leaves_the_loop_its_turns() -> None:
    wheel = TimerWheel(clock_of_loop(), lambda bug: None)
    rung = itertools.count()

    def again(now: float) -> None:
        next(rung)
        alarm.set(NOW)

    alarm = wheel.alarm(again)
    alarm.set(NOW)
    await until(lambda: next(rung) > 10)
    wheel.close()


def test_the_bug_of_one_alarm_does_not_silence_the_others() -> None:
    time = Time()
    before, rung_before = ringing(time)
    nothing: dict[float, None] = {}
    broken = time.wheel.alarm(nothing.__getitem__)
    after, rung_after = ringing(time)
    later, rung_later = ringing(time)
    for alarm, when in ((before, 1001.0), (broken, 1001.0), (after, 1001.0), (later, 1002.0)):
        alarm.set(when)
    time.advance(5.0)
    assert [len(rung) for rung in (rung_before, rung_after, rung_later)] == [1, 1, 1]
    assert [type(bug) for bug in time.bugs] == [KeyError]


def test_an_alarm_set_to_infinity_never_rings() -> None:
    time = Time()
    alarm, rung = ringing(time)
    alarm.set(1001.0)
    alarm.set(math.inf)
    time.advance(100.0)
    assert not rung
    alarm.set(1101.0)
    time.advance(100.0)
    assert len(rung) == 1


def test_a_timer_that_comes_early_waits_for_the_tick() -> None:
    time = Time()
    alarm, rung = ringing(time)
    alarm.set(1001.0)
    time.serve(early=1e-9)
    assert not rung
    time.advance(0.1)
    assert len(rung) == 1


def test_a_forgotten_alarm_calls_nobody_even_if_it_is_set_again() -> None:
    time = Time()
    alarm, rung = ringing(time)
    alarm.set(1001.0)
    alarm.forget()
    alarm.set(1002.0)
    time.advance(100.0)
    assert not rung


def test_a_closed_wheel_forgets_every_alarm() -> None:
    time = Time()
    alarm, rung = ringing(time)
    alarm.set(1001.0)
    time.wheel.close()
    time.wheel.close()
    time.advance(100.0)
    assert not rung
    assert not time.pending


@pytest.mark.kernel
async def test_alarms_ring_in_order_and_not_early_on_a_real_loop() -> None:
    wheel = TimerWheel(Clock(), lambda bug: None)
    rung: list[tuple[float, float]] = []
    start = monotonic()
    for wait in (0.02, 0.003, 0.011, 0.0305):
        wheel.alarm(lambda now, wait=wait: rung.append((wait, monotonic()))).set(start + wait)
    await until(lambda: len(rung) == 4)
    assert [wait for wait, _ in rung] == [0.003, 0.011, 0.02, 0.0305]
    assert all(at >= start + wait for wait, at in rung)
    wheel.close()
