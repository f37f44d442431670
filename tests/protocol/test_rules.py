"""The specification and its tests agree on what rules there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SPECIFICATION = HERE.parents[1] / "docs" / "protocol.md"
SECTIONS = {"Lines", "Handshake", "Numbers and beats", "Acks and the window", "Liveness", "Ends"}
ELSEWHERE = {"half-close", "socket-options"}
"""Rules in these sections that the core cannot keep, having no socket."""
ALSO_HERE = {
    "after", "asked", "empty-beat", "immediate-sink", "instance", "promise", "rank", "raw-source", "raw-source-silence",
    "revocable-sink", "standby-liveness",
}  # fmt: skip


def rules() -> list[str]:
    """The names in the specification's table "All the rules by name" that are the core's to keep."""
    table = SPECIFICATION.read_text(encoding="utf-8").partition("\n## All the rules by name\n")[2]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE))
    listed = {section: {name.strip() for name in names.split(",")} for section, names in rows.items()}
    every_name = set().union(*listed.values())
    assert every_name >= ALSO_HERE | ELSEWHERE
    return sorted(ALSO_HERE | set().union(*(listed[section] for section in SECTIONS)) - ELSEWHERE)


@pytest.mark.parametrize("rule", rules())
def test_every_rule_of_the_core_has_a_test_named_after_it(rule: str) -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    assert f"\ndef test_{rule.replace('-', '_')}_" in source
