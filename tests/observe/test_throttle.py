"""Throttle: limits log lines and counts those it leaves out."""

from __future__ import annotations

from randstream.observe.throttle import Throttle


def test_lines_up_to_the_limit_are_admitted_with_nothing_left_out() -> None:
    throttle = Throttle(3)
    assert [throttle.admit(now) for now in (0.0, 1.0, 2.0)] == [0, 0, 0]


def test_a_line_above_the_limit_within_a_minute_is_left_out() -> None:
    throttle = Throttle(2)
    assert [throttle.admit(now) for now in (0.0, 1.0, 59.9)] == [0, 0, None]


def test_the_next_admitted_line_reports_how_many_were_left_out() -> None:
    throttle = Throttle(1)
    assert [throttle.admit(now) for now in (0.0, 1.0, 2.0, 60.0)] == [0, None, None, 2]


def test_a_count_that_was_reported_is_not_reported_again() -> None:
    throttle = Throttle(1)
    assert [throttle.admit(now) for now in (0.0, 1.0, 60.0, 120.0)] == [0, None, 1, 0]


def test_a_line_says_how_many_were_left_out_before_it_if_any_were() -> None:
    throttle = Throttle(1)
    lines: list[tuple[str, dict[str, object]]] = []
    for now in (0.0, 1.0, 2.0, 60.0):
        throttle.say(lambda event, **fields: lines.append((event, fields)), "link.lost", now, offset=now)
    assert lines == [("link.lost", {"offset": 0.0}), ("link.lost", {"offset": 60.0, "left_out": 2})]


def test_no_60_seconds_hold_more_than_the_limit() -> None:
    throttle = Throttle(4)
    admitted = [now for now in range(600) if throttle.admit(float(now)) is not None]
    assert all(sum(first <= now < first + 60 for now in admitted) <= 4 for first in range(600))
    assert len(admitted) == 40


def test_each_throttle_admits_once_and_then_only_what_the_shared_one_admits() -> None:
    shared = Throttle(2)
    each = [Throttle(1, shared) for _ in range(5)]
    said = [[throttle.admit(now) for throttle in each] for now in (0.0, 60.0, 90.0, 120.0)]
    assert said == [[0] * 5, [0, 0, None, None, None], [None] * 5, [1, 1, None, None, None]]


def test_a_throttle_that_shares_keeps_its_own_limit_too() -> None:
    throttle = Throttle(1, Throttle(5))
    assert [throttle.admit(now) for now in (0.0, 1.0, 60.0, 61.0)] == [0, None, 1, None]
