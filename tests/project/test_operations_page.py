"""docs/operations.md is up to date: it names what is in the source, and nothing else."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.admin.roles import FakeRole, RoleName

from randstream.admin.metrics import Metrics
from randstream.observe.link_report import WARNINGS
from randstream.observe.tally import Buckets

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text()
LEVELS = {"debug", "info", "warning", "error"}
CHOSEN = {"say": {"warning", "error"}, "write": {"info", "warning"}}
"""Local variables that hold one of two methods of a logger."""
EVENT = re.compile(r"[a-z]+\.[a-z_]+")


def table(title: str) -> dict[str, list[str]]:
    """The rows of the first table after the heading `title`, by their first cell."""
    section = PAGE.split(f"\n## {title}\n")[1]
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", section.split("\n\n###")[0].split("\n## ")[0], re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


def logged() -> Iterator[tuple[str, set[str], set[str]]]:
    """Every event in the source: its name, its levels, its fields."""
    for path in sorted((ROOT / "src/randstream").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            method = getattr(call.func, "attr", getattr(call.func, "id", ""))
            event, *more = call.args
            fields = {keyword.arg for keyword in call.keywords if keyword.arg}
            throttled = LEVELS & {each.attr for each in ast.walk(event) if isinstance(each, ast.Attribute)}
            if method == "say" and throttled:  # a Throttle's: the logger's method comes first
                event = more[0]
                fields.add("left_out")
            if method == "Renewed":  # it logs its `events`, the second with further keywords
                (unreadable, reloaded) = next(ast.literal_eval(k.value) for k in call.keywords if k.arg == "events")
                yield unreadable, {"warning"}, {"error", "advice", "left_out"}
                yield reloaded, {"info"}, fields - {"events", "advice"} | {"left_out"}
                continue
            names = {each.value for each in ast.walk(event) if isinstance(each, ast.Constant)}
            for name in names:
                if not isinstance(name, str) or not EVENT.fullmatch(name):
                    continue
                if throttled:
                    yield name, throttled, fields
                elif method in LEVELS:
                    yield name, {method}, fields
                elif method == "_tell":
                    yield name, {"warning" if name in WARNINGS else "info"}, fields | {"left_out"}
                elif method in CHOSEN:
                    yield name, CHOSEN[method], fields


def described(events: Iterator[tuple[str, set[str], set[str]]]) -> dict[str, tuple[set[str], set[str]]]:
    found: dict[str, tuple[set[str], set[str]]] = {}
    for name, levels, fields in events:
        before = found.get(name, (set(), set()))
        found[name] = (before[0] | levels, before[1] | fields)
    return found


def test_every_log_event_is_in_the_table_and_no_other() -> None:
    assert set(table("Logs")) == set(described(logged()))


@pytest.mark.parametrize(("name", "known"), sorted(described(logged()).items()))
def test_an_events_level_and_fields_are_in_the_table(name: str, known: tuple[set[str], set[str]]) -> None:
    levels, fields = known
    documented_levels, documented_fields, meaning = table("Logs")[name]
    assert set(documented_levels.split(", ")) == levels
    assert fields <= set(re.findall(r"`([a-z_]+)`", documented_fields))
    assert meaning


RUNBOOK = {
    title.lower().replace(" ", "-").replace(":", ""): text
    for title, _, text in (
        entry.partition("\n") for entry in PAGE.split("\n## Runbook\n")[1].split("\n## ")[0].split("\n### ")[1:]
    )
}
"""The entries of the runbook, by what follows the # of a link to them."""
ALARMING = sorted(event for event, (levels, _) in described(logged()).items() if levels & {"warning", "error"})


def leads_to_its_entry(name: str, anchor: str) -> bool:
    """Whether the entry at `anchor` begins with the alert or event `name`, and has a word of what it begins with in its
    title.
    """
    seen = RUNBOOK[anchor].split("\n- **Why")[0]
    names = re.findall(r"`((?:Randstream|[a-z]+\.)\w+)`", seen)
    words = {word.lower() for each in names for word in re.findall(r"[A-Z]?[a-z]+", each)}
    return name in names and not words.isdisjoint(anchor.split("-"))


@pytest.mark.parametrize("event", ALARMING)
def test_every_warning_and_error_leads_to_an_entry_of_the_runbook_that_begins_with_it(event: str) -> None:
    anchors = set(re.findall(r"\(#([^)]+)\)", table("Logs")[event][2])) & RUNBOOK.keys()
    assert any(leads_to_its_entry(event, anchor) for anchor in anchors), anchors


@pytest.mark.parametrize("entry", RUNBOOK)
def test_an_entry_says_what_you_see_why_what_to_do_and_when_it_is_over(entry: str) -> None:
    said = re.findall(r"^- \*\*(You see|Why|Why and what to do|Do|Over)(?::|\*\*)", RUNBOOK[entry], re.MULTILINE)
    assert said in (
        ["You see", "Why", "Do", "Over"], ["You see", "Why and what to do", "Over"],
        ["You see", "Why and what to do", "Do", "Over"],
    )  # fmt: skip


def metrics_of(role: RoleName) -> dict[str, str]:
    """The type of every metric of a role, by its name."""
    text = Metrics(FakeRole(role), Buckets(), dict).exposition("text/plain")[0].decode()
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(text)
        if family.name.startswith("randstream_")
    }


def test_every_metric_is_in_the_table_with_its_type_and_role() -> None:
    producer, worker = metrics_of("producer"), metrics_of("worker")
    found = {
        name: [kind, "both" if name in producer and name in worker else "producer" if name in producer else "worker"]
        for name, kind in (producer | worker).items()
    }
    assert {name: [cells[0], cells[2]] for name, cells in table("Metrics").items()} == found


SAMPLE = "".join(
    json.dumps({"pod": "worker-1", "timestamp": "2026-11-24T03:00:00.000000Z", **event}) + "\n"
    for event in (
        {"level": "info", "event": "service.started", "role": "producer"},
        {"level": "warning", "event": "link.lost", "worker": "worker-1", "reason": "cut", "offset": 42, "acked": 40},
        {
            "level": "info",
            "event": "link.resumed",
            "worker": "worker-1",
            "stream": "6ae2a63a0ac05109",
            "offset": 40,
            "interruption": 2.5,
            "interrupted_by": "cut",
        },
        {"level": "warning", "event": "link.unreachable", "target": "worker-2:9000", "reason": "cut", "offset": 0},
        {"level": "info", "event": "worker.checkpoint", "offset": 100, "rate": 10.0},
    )
)
LINKS = {
    "role": "producer",
    "links": [{
        "worker": "worker-1",
        "interruptions": {"last": [{"start": 1795910401.25, "seconds": 2.5, "cause": "cut", "unnoticed": 0.1}]},
    }],
}  # fmt: skip
RECIPES = re.findall(r"^(?:kubectl|make logs) [^|\n]*\| (jq .*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_runs_on_a_log_or_a_producers_links_and_finds_something(recipe: str) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: apt-get install jq")
    given = json.dumps(LINKS) if ".links[]" in recipe else SAMPLE
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", recipe], input=given, text=True, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip()


def test_the_page_has_five_recipes() -> None:
    assert len(RECIPES) == 5


def test_every_link_within_the_page_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= headings
    for target in re.findall(r"\]\(([^#)][^)#]*)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
