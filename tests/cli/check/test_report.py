"""The verdict of a check, and its reports for machines."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from randstream.cli.check.report import Command, Interruption, Limits, LinkResult, Report
from randstream.cli.summary import RoundTrips

WELL = LinkResult(
    worker="worker-0",
    target="a:9000",
    stream="6ae2a63a0ac05109",
    sent=100,
    acknowledged=100,
    round_trips=RoundTrips(0.001, 0.002, 0.004, 0.005),
    count=0,
    longest=0.0,
    total=0.0,
    availability=1.0,
    by_cause={},
    interruptions=[],
)
CUT = Interruption(start="2026-11-28T12:00:00.000+00:00", seconds=2.5, unnoticed=0.0, cause="cut", is_over=True)
BROKEN = replace(
    WELL, worker="worker-1", target="b:9000", count=1, longest=2.5, total=2.5, by_cause={"cut": 1}, interruptions=[CUT]
)
LIMITS = Limits(2.0, 5.0)
UNREACHED = replace(WELL, worker=None, target="c:9000", stream=None, problem="not reached: refused")


def report(*links: LinkResult, command: Command | None = None, limits: Limits = LIMITS) -> Report:
    return Report(
        "0.1.0", "2026-11-28T11:59:00.000+00:00", 60.0, {"rate": 10.0, "heartbeat": 0.1}, limits, command, list(links)
    )


def test_all_is_well() -> None:
    found = report(WELL)
    assert found.status == 0
    assert found.verdict == "PASSED: 1 link, not one interruption in 60.0 s"


def test_within_the_limits_is_well_and_the_longest_is_told() -> None:
    found = report(WELL, BROKEN, limits=Limits(2.5, 2.5))
    assert found.status == 0
    assert found.verdict == "PASSED: 2 links within the limits; the longest interruption was 2.50 s"


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (Limits(2.0, 5.0), "an interruption of 2.50 s (at most 2 s)"),
        (Limits(3.0, 2.0), "interrupted for 2.50 s in all (at most 2 s)"),
    ],
)
def test_each_limit_is_one(limits: Limits, why: str) -> None:
    found = report(WELL, BROKEN, limits=limits)
    assert found.status == 1
    assert found.verdict == f"FAILED: 1 of 2 links outside the limits: worker-1: {why}"


def test_what_was_never_reached_has_failed() -> None:
    found = report(WELL, UNREACHED, BROKEN)
    assert found.status == 1
    assert found.verdict == "FAILED: 2 of 3 links outside the limits: c:9000: not reached: refused, and 1 more"


def test_no_link_at_all_is_no_success() -> None:
    assert report().status == 1
    assert report().verdict.startswith("FAILED")


@pytest.mark.parametrize(("link", "status"), [(WELL, 3), (BROKEN, 1)])
def test_the_commands_own_status_counts_where_the_links_are_well(link: LinkResult, status: int) -> None:
    assert report(link, command=Command(("false",), 3, 1.0)).status == status


def test_json_is_what_the_documentation_says() -> None:
    found = report(WELL, BROKEN, command=Command(("true", "-x"), 0, 1.5)).to_json()
    assert found["schema"] == "randstream-check/1"
    assert found["passed"] is False
    assert found["command"] == {"arguments": ("true", "-x"), "status": 0, "seconds": 1.5, "signal": None}
    assert found["limits"] == {"max_interruption": 2.0, "max_total": 5.0}
    well, broken = found["links"]
    assert well["findings"] == []
    assert broken["findings"] == ["an interruption of 2.50 s (at most 2 s)"]
    assert broken["interruptions"][0] == {
        "start": "2026-11-28T12:00:00.000+00:00", "seconds": 2.5, "unnoticed": 0.0, "cause": "cut", "is_over": True,
    }  # fmt: skip
    assert well["round_trips"] == {"min": 0.001, "median": 0.002, "p99": 0.004, "max": 0.005}


def test_junit_has_a_case_for_each_link_and_one_for_the_command() -> None:
    root = ElementTree.fromstring(report(WELL, BROKEN, command=Command(("false",), 3, 1.0)).to_junit())
    assert (root.get("tests"), root.get("failures")) == ("3", "2")
    failures = {case.get("name"): [failure.get("message") for failure in case] for case in root}
    assert failures == {
        "worker-0": [],
        "worker-1": ["an interruption of 2.50 s (at most 2 s)"],
        "false": ["exit status 3 after 1.0 s"],
    }


def test_junit_holds_any_name() -> None:
    root = ElementTree.fromstring(report(replace(UNREACHED, target="\x00\x1b[31m")).to_junit())
    assert root[0].get("name") == r"\x00\x1b[31m"


def test_a_command_that_failed_is_told_beside_a_verdict_that_is_good() -> None:
    found = report(WELL, command=Command(("false",), 143, 1.0, "SIGTERM"))
    assert found.status == 143
    assert found.has_passed
    assert found.verdict == (
        "PASSED: 1 link, not one interruption in 60.0 s; but the command failed: was ended by SIGTERM, exit status 143"
        " after 1.0 s"
    )


def test_why_there_was_no_link_is_told_and_is_a_failure_of_junit_too() -> None:
    found = replace(report(), problem="srv://x names no worker")
    assert found.verdict == "FAILED: there was no link to check: srv://x names no worker"
    assert found.to_json()["passed"] is False
    root = ElementTree.fromstring(found.to_junit())
    assert (root.get("tests"), root.get("failures")) == ("1", "1")


def test_two_links_of_one_name_are_two() -> None:
    found = report(BROKEN, replace(BROKEN, target="d:9000"))
    assert found.verdict.startswith("FAILED: 2 of 2 links outside the limits: worker-1: ")


def test_the_verdict_names_the_worst_as_the_summary_does() -> None:
    worse = replace(BROKEN, worker="worse", longest=4.0, total=4.0)
    assert report(BROKEN, worse).verdict.startswith("FAILED: 2 of 2 links outside the limits: worse: ")
    assert report(BROKEN, worse, UNREACHED).verdict.startswith("FAILED: 3 of 3 links outside the limits: c:9000: ")


def test_a_command_is_told_as_a_shell_takes_it() -> None:
    command = Command(("sh", "-c", "true; false"), 1, 1.0)
    root = ElementTree.fromstring(report(WELL, command=command).to_junit())
    assert root[-1].get("name") == "sh -c 'true; false'"
