"""Sink report: a problem is told once and then at intervals; every failure is counted."""

from __future__ import annotations

import pytest
from tests.support.log import Log

from randstream.observe.journal import Journal
from randstream.observe.sink_report import SinkReport
from randstream.observe.tally import Tally
from randstream.observe.throttle import LINES_A_MINUTE


@pytest.fixture
def sink_report(log: Log, tally: Tally, journal: Journal) -> SinkReport:
    return SinkReport("worker-0", tally, journal)


def noted(journal: Journal) -> list[tuple[str, str, str]]:
    return [(entry.event, entry.link, entry.detail) for entry in journal.entries]


def test_an_unchanged_problem_is_reported_once_but_every_failure_is_counted(
    sink_report: SinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    for problem in ("the disk is full", "the disk is full", "the disk is read-only"):
        sink_report.failed(problem, 0.0, retry_in=0.5)
        assert sink_report.problem == problem
    assert [(event["error"], event["log_level"], event["retry_in"]) for event in log.of("sink.failing")] == [
        ("the disk is full", "error", 0.5), ("the disk is read-only", "error", 0.5),
    ]  # fmt: skip
    assert [detail for _, _, detail in noted(journal)] == ["the disk is full", "the disk is read-only"]
    assert (tally.ends, tally.failures, tally.sink_failures) == ({}, {}, 3)


def test_a_problem_that_lasts_is_logged_again_at_intervals(sink_report: SinkReport, log: Log, journal: Journal) -> None:
    for second in range(150):
        sink_report.failed("the disk is full", float(second), retry_in=1.0)
    assert len(log.of("sink.failing")) == 3
    assert len(noted(journal)) == 1


def test_a_problem_that_came_when_the_log_was_full_is_logged_as_soon_as_the_limit_allows(
    sink_report: SinkReport, log: Log
) -> None:
    for second in range(LINES_A_MINUTE):
        sink_report.failed(f"short of {second} bytes", float(second), retry_in=1.0)
    for second in range(LINES_A_MINUTE, 100):
        sink_report.failed("the disk is full", float(second), retry_in=1.0)
    *_, last = log.of("sink.failing")
    assert (last["error"], last["left_out"]) == ("the disk is full", 60 - LINES_A_MINUTE)
    assert len(log.of("sink.failing")) == LINES_A_MINUTE + 1


def test_a_recovery_is_reported_once_with_the_problem_it_ends(
    sink_report: SinkReport, log: Log, journal: Journal
) -> None:
    sink_report.worked(0.0)
    assert log.events == []
    sink_report.failed("the disk is full", 0.0, retry_in=0.5)
    sink_report.worked(1.0)
    sink_report.worked(2.0)
    assert sink_report.problem is None
    assert [(event["event"], event["log_level"]) for event in log.events] == [
        ("sink.failing", "error"), ("sink.recovered", "info"),
    ]  # fmt: skip
    assert noted(journal)[-1] == ("sink.recovered", "worker-0", "was: the disk is full")


def test_a_stall_is_reported_once_until_it_is_over(sink_report: SinkReport, log: Log, journal: Journal) -> None:
    problem = "the command sleep has not taken its numbers since 2023-11-14T22:13:20Z"
    for seconds in (3.0, 6.0):
        sink_report.stalled("the command sleep", seconds, since=1.7e9)
        assert sink_report.problem == problem
    for seconds in (7.0, 8.0):
        sink_report.went_on(seconds)
        assert sink_report.problem is None
    assert [(event["event"], event["log_level"]) for event in log.events] == [
        ("sink.stalled", "warning"), ("sink.recovered", "info"),
    ]  # fmt: skip
    assert [detail for _, _, detail in noted(journal)] == [problem, f"was: {problem}"]


def test_a_stall_is_no_news_while_the_sink_fails_and_both_end_together(sink_report: SinkReport, log: Log) -> None:
    sink_report.stalled("the disk of /data", 3.0, since=1.7e9)
    sink_report.failed("the disk is full", 4.0, retry_in=1.0)
    sink_report.stalled("the disk of /data", 7.0, since=1.7e9)
    assert sink_report.problem == "the disk is full"
    sink_report.went_on(8.0)
    sink_report.worked(8.0)
    assert sink_report.problem is None
    assert [event["event"] for event in log.events] == ["sink.stalled", "sink.failing", "sink.recovered"]


def test_a_sink_that_stalls_again_and_again_keeps_no_failure_out_of_the_log(sink_report: SinkReport, log: Log) -> None:
    for number in range(100):
        sink_report.stalled("the command sleep", number / 10, since=1.7e9)
        sink_report.went_on(number / 10)
    sink_report.failed("the disk is full", 10.0, retry_in=1.0)
    assert len(log.of("sink.stalled")) + len(log.of("sink.recovered")) == LINES_A_MINUTE
    assert len(log.of("sink.failing")) == 1


def test_a_warning_is_reported_when_it_begins_changes_and_ends(
    sink_report: SinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    for warning in (None, "90 % full", "90 % full", "95 % full", None, None):
        sink_report.worked(0.0, warning)
        assert sink_report.warning == warning
    assert [(event["event"], event["log_level"], event["warning"]) for event in log.events] == [
        ("sink.warning", "warning", "90 % full"),
        ("sink.warning", "warning", "95 % full"),
        ("sink.warning_over", "info", "95 % full"),
    ]
    assert noted(journal) == [("sink.warning", "worker-0", "90 % full"), ("sink.warning", "worker-0", "95 % full")]
    assert (tally.ends, tally.failures, tally.sink_failures) == ({}, {}, 0)


def test_a_sink_that_comes_and_goes_does_not_fill_the_log(sink_report: SinkReport, log: Log, tally: Tally) -> None:
    for number in range(LINES_A_MINUTE):
        sink_report.failed("the disk is full", float(number), retry_in=0.5)
        sink_report.worked(float(number))
    assert len(log.events) == LINES_A_MINUTE
    sink_report.failed("the disk is full", 60.0, retry_in=0.5)
    assert log.events[-1]["left_out"] == LINES_A_MINUTE
    assert tally.sink_failures == LINES_A_MINUTE + 1
