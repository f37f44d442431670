"""Snapshot: what a stranger may answer, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.admin.roles import FakeLink, FakeRole

from randstream.admin.observer import Observer, to_json
from randstream.cli.top.snapshot import LONGEST_TEXT, WrongShape, read_snapshot
from randstream.errors import Reason


def an_answer() -> dict[str, Any]:
    """What a role answers that has a link, an interruption of it, and an event."""
    role = FakeRole(links=[FakeLink(served_by="producer-0")])
    role.links[0].interruptions.proved(1.0, None)
    role.links[0].interruptions.lost(Reason.CUT, 2.0)
    role.journal.note("link.lost", "worker-0", "cut")
    answer: dict[str, Any] = json.loads(to_json(Observer(role).snapshot(limit=9, interruptions=9)))
    return answer


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value is that `top` reads, outermost first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def put(answer: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    inner = answer
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return answer


def shown(body: bytes) -> str:
    """What `top` has of `body`: its texts, or the complaint."""
    try:
        return json.dumps(read_snapshot(body), ensure_ascii=False)  # which escapes control characters
    except WrongShape as error:
        return str(error)


OPTIONAL = ("reason", "since")
"""What a process of an earlier version does not tell."""
READ = places(read_snapshot(json.dumps(an_answer()).encode()))
STRANGE: list[Any] = [None, True, -1, 1.5, 2**80, 10**400, "\x1b[2J", "", [], [[]], {}, {"a": 1}]


def test_an_answer_of_ours_is_read_as_it_is() -> None:
    answer = an_answer()
    found = read_snapshot(json.dumps({**answer, "from a later version": 1}).encode())
    assert found["links"][0]["served_by"] == "producer-0"
    assert {key: answer[key] for key in found if key not in ("totals", "links", "events")} == {
        key: found[key] for key in found if key not in ("totals", "links", "events")
    }


@pytest.mark.parametrize("path", READ, ids=str)
def test_a_field_of_another_type_is_told_or_of_use(path: tuple[Any, ...]) -> None:
    for strange in STRANGE:
        told = shown(json.dumps(put(an_answer(), path, strange)).encode())
        assert told.isprintable()
        assert "\\u00" not in told


@pytest.mark.parametrize("path", [path for path in READ if path and isinstance(path[-1], str)], ids=str)
def test_a_field_that_is_missing_is_named(path: tuple[Any, ...]) -> None:
    if path[:2] == ("totals", "states") and len(path) == 3:
        return  # empty states are left out
    if path[-1] in OPTIONAL:
        return
    answer: Any = an_answer()
    inner = answer
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    with pytest.raises(WrongShape, match=rf"{path[-1]} is missing$"):
        read_snapshot(json.dumps(answer).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"alive\n",
        b"<html>",
        b"\xff\xfe",
        b'{"role": NaN}',
        b"[" * 100_000,
        b"1" * 5000,
        b'"\\ud800"',
        b"null",
        b"[]",
        b"0",
    ],
)
def test_what_is_no_snapshot_is_told(body: bytes) -> None:
    with pytest.raises(
        WrongShape, match=r"^it is not JSON$|^the whole has the wrong shape$|has the wrong shape$|is missing$"
    ):
        read_snapshot(body)


@pytest.mark.parametrize("figure", ["NaN", "Infinity", "-Infinity", "1e999", "-0.1", "1e30", '"1"', "true", "9" * 5000])
@pytest.mark.parametrize("field", ["uptime", "left_out"])
def test_a_figure_that_cannot_be_shown_is_told(field: str, figure: str) -> None:
    answer = json.dumps(put(an_answer(), (field,), "HERE")).replace('"HERE"', figure)
    with pytest.raises(WrongShape):
        read_snapshot(answer.encode())


def test_texts_are_short_and_have_no_control_characters() -> None:
    strange = "a\x1b]0;taken\x07\x9b2J\u202eb\r\n\ud800\u2028c"
    answer = put(put(an_answer(), ("name",), strange), ("problem",), "x" * 10**6)
    found = read_snapshot(json.dumps(answer).encode())
    assert found["name"].isprintable()
    assert found["name"].replace(" ", "") == "a]0;taken2Jbc"
    assert len(found["problem"]) == LONGEST_TEXT
