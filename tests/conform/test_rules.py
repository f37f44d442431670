"""Every rule of the page is played, or listed with the reason why it is not."""

from __future__ import annotations

import re
from pathlib import Path

from randstream.conform.rules import UNSEEN
from randstream.conform.suites import PRODUCER_CASES, WORKER_CASES

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
PLAYED = {rule for case in (*WORKER_CASES, *PRODUCER_CASES) for rule in case.rules}


def listed() -> set[str]:
    """The rules of the page's last table."""
    table = PAGE.split("\n## All the rules by name\n")[1]
    return {rule.strip() for line in re.findall(r"^\| [^|]+ \| ([a-z0-9, -]+) \|$", table, re.MULTILINE)
            for rule in line.split(",")} - {"rules"}  # fmt: skip


def test_every_rule_of_the_page_is_played_or_listed_with_a_reason() -> None:
    assert len(listed()) > 90
    assert listed() - PLAYED - UNSEEN.keys() == set()
    assert (PLAYED | UNSEEN.keys()) - listed() == set()


def test_no_rule_that_is_played_counts_as_unseen() -> None:
    assert PLAYED & UNSEEN.keys() == set()


def test_cases_have_names_of_their_own_and_there_are_hundreds() -> None:
    for cases in (WORKER_CASES, PRODUCER_CASES):
        names = [(case.name, case.rules) for case in cases]
        assert sorted(names) == sorted(set(names))
        assert 150 <= len(cases) <= 300
