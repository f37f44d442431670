"""The report: one line per rule, and JUnit XML."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from randstream.conform.cases import Case, Outcome
from randstream.conform.report import Report, to_junit, unseen_lines
from randstream.conform.rules import UNSEEN


async def never(_: Any) -> None: ...


FIRST = Case("first", ("silence", "names"), never, "alone")
SECOND = Case("second", ("silence",), never, "alone")
BROKEN = Outcome(FIRST, 0.25, expected="#ack", came="\x1b[2J#no")
HELD = Outcome(SECOND, 0.5)
SKIPPED = Outcome(SECOND, 0.5, why_not="no time")


def lines_of(*outcomes: Outcome) -> list[str]:
    report = Report([outcome.case for outcome in outcomes])
    return [line for outcome in outcomes for line in report.note(outcome)]


def test_rule_is_told_once_its_last_case_is_over_and_a_peer_cannot_paint_the_terminal() -> None:
    failed = r"first: expected #ack; came \x1b[2J#no"
    assert lines_of(BROKEN, HELD) == [f"FAILED   names: {failed}", f"FAILED   silence: {failed}"]
    assert lines_of(Outcome(FIRST, 0.1), HELD) == ["ok       names: 1 case", "ok       silence: 2 cases"]
    assert lines_of(Outcome(FIRST, 0.1), SKIPPED) == ["ok       names: 1 case", "ok       silence: 1 case, 1 skipped"]
    assert lines_of(SKIPPED) == ["skipped  silence: no time"]


def test_only_the_rules_that_were_asked_for_are_told() -> None:
    report = Report([FIRST], ["names"])
    assert report.note(Outcome(FIRST, 0.1)) == ["ok       names: 1 case"]


def test_each_further_case_that_failed_has_a_line() -> None:
    again = Outcome(SECOND, 0.1, expected="#wait", came="nothing")
    assert lines_of(BROKEN, again)[2:] == ["         silence: second: expected #wait; came nothing"]


def test_cases_are_counted() -> None:
    report = Report([FIRST, SECOND])
    report.note(BROKEN)
    report.note(SKIPPED)
    assert (report.played, report.failed) == (1, 1)


def test_unseen_rules_are_told_with_the_reason() -> None:
    assert len(list(unseen_lines())) == len(UNSEEN)
    assert "skipped  tls: the suite speaks plain text" in unseen_lines()


def test_junit_has_a_test_case_for_each_case() -> None:
    suite = ElementTree.fromstring(to_junit("conform worker", [BROKEN, HELD, SKIPPED]))
    assert suite.attrib == {"name": "conform worker", "tests": "3", "failures": "1", "skipped": "1"}
    failed, held, skipped = suite
    assert failed.attrib == {"classname": "silence", "name": "first", "time": "0.250"}
    assert failed[0].attrib["message"] == r"expected #ack; came \x1b[2J#no"
    assert list(held) == []
    assert skipped[0].attrib == {"message": "no time"}
