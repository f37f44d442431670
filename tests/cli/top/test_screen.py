"""Screen: what stands in the table, above it and below it."""

from __future__ import annotations

from typing import Any

import pytest
from rich.cells import cell_len
from tests.admin.roles import FakeLink, FakeRole
from tests.cli.top.views import look_of, page, rows_of, screen
from tests.support.clock import StoppedClock

from randstream.cli.top.controls import END, Controls
from randstream.errors import Reason
from randstream.observe.status import LinkState


def test_a_row_shows_state_offset_lag_and_round_trip() -> None:
    links = [FakeLink(offset=1234567, acked_offset=1234500, served_by="producer-0")]
    waiting, streaming = rows_of(screen(FakeRole(links=[*links, FakeLink("worker-1", state=LinkState.WAITING)])))
    assert waiting[:5] == ["○", "worker-1", "waiting", "–", "–"]
    assert streaming == (
        [
            "●",
            "worker-0",
            "streaming",
            "producer-0",
            "–",
            "0.0",
            "1,234,567",
            "67",
            "1.0",
            "ms",
            "500.0",
            "ms",
            "0",
            "–",
        ]
    )


def test_trouble_is_shown_at_the_top() -> None:
    role = FakeRole(
        problem="cannot resolve worker",
        warning="several producers are named p",
        links=[FakeLink(None, state=LinkState.WAITING)],
    )
    text = screen(look_of(role, silence=2.0))
    assert "0 of 1 streams flow" in text
    assert "not ready: cannot resolve worker" in text
    assert "several producers are named p" in text
    assert "stale" not in text
    assert "stale: no answer for 9.0 s, since " in screen(look_of(role, silence=9.0))


def test_the_last_events_and_the_count_of_links_left_out_are_shown() -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}") for number in range(9)])
    role.journal.note("link.lost", "worker-3", "cut")
    text = screen(look_of(role, limit=2))
    assert "9 of 9 streams flow" in text
    assert "and 7 more; those in trouble come first" in text
    assert "worker-3 lost: cut" in text


def test_text_from_peers_is_not_markup_and_does_not_move_the_cursor() -> None:
    role = FakeRole(links=[FakeLink("[red]x[/red]\x1b[2J")])
    text = screen(role)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [10, 40, 60, 80, 100, 120])
@pytest.mark.parametrize("height", [1, 4, 10, 24, 50])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    links = [FakeLink(f"worker-{n}", offset=10**12, served_by="producer-0", error="e" * 500) for n in range(30)]
    links[0].state = LinkState.WAITING
    text, _ = page(FakeRole(links=links), look_of(None, silence=9.0), width=width, height=height)
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == height


def test_interruptions_are_shown_where_there_is_room_and_one_that_goes_on_is_told_below() -> None:
    role = FakeRole(links=[FakeLink()], clock=StoppedClock())
    link = role.links[0].interruptions
    now = role.clock.now()
    link.proved(now - 100.0, None)
    link.lost(Reason.CUT, now - 50.0)
    link.proved(now - 40.0, None)
    assert rows_of(screen(role))[0][-3:] == ["1", "10.0", "s"]
    assert "interrupted" not in screen(role, width=80)
    link.lost(Reason.TIMEOUT, now - 30.0)
    text = screen(role)
    assert rows_of(text)[0][-3:-1] == ["2", "30.0"]
    assert "\n    interrupted for 30.0 s: timeout\n" in text


def many(count: int = 30) -> FakeRole:
    return FakeRole(links=[FakeLink(f"worker-{n}", offset=1) for n in range(count)])


def test_a_page_starts_at_the_first_line_that_is_chosen_and_says_where_it_is() -> None:
    text, drawn = page(many(), controls=Controls(first=3))
    assert [row[1] for row in rows_of(text)] == [f"worker-{n}" for n in range(3, 3 + drawn.page)]
    assert f"4–{3 + drawn.page} of 30  q quit" in text
    text, _ = page(many(), controls=Controls(first=END))
    assert rows_of(text)[-1][1] == "worker-29"
    text, _ = page(many(2), controls=Controls(first=END))
    assert len(rows_of(text)) == 2
    assert "of 2 " not in text.splitlines()[-1]


def test_streams_that_the_process_left_out_are_counted() -> None:
    text, drawn = page(look_of(many(), limit=10))
    assert f"1–{min(10, drawn.page)} of 30  " in text


def test_a_row_and_its_notes_scroll_line_by_line() -> None:
    role = FakeRole(links=[FakeLink("a", state=LinkState.WAITING, error="why a"), FakeLink("b", error="well again")])
    text, drawn = page(role, controls=Controls(first=1), height=5)
    assert (drawn.lines, drawn.page) == (3, 1)
    assert "    why a" in text
    assert rows_of(text) == []


def test_what_is_chosen_stands_in_the_last_line() -> None:
    def bottom(**chosen: Any) -> str:
        return page(many(2), controls=Controls(**chosen))[0].splitlines()[-1].rstrip()

    assert bottom() == "q quit  ? help  / filter  s sort: trouble  p pause  arrows scroll"
    assert bottom(sort="lag", is_paused=True).startswith("paused  q quit  ? help  / filter  s sort: lag")
    assert bottom(name_filter="er-1").startswith("q quit  ? help  / er-1  s sort")
    assert bottom(name_filter="er-1", is_typing=True) == "/er-1   Enter keeps it, Esc shows all"
    assert bottom(name_filter="\x1b[2J").startswith("q quit  ? help  /  [2J  s sort")
    assert page(many(2), has_keys=False)[0].splitlines()[-1].rstrip() == "Ctrl-C quits"


def test_a_filter_that_nothing_matches_is_said() -> None:
    assert "\nno stream matches xyz\n" in page(many(2), controls=Controls(name_filter="xyz"))[0].replace(" \n", "\n")
    assert "\nno stream yet\n" in page(FakeRole(links=[]))[0]


def test_the_help_names_the_keys_in_place_of_the_table() -> None:
    text, _ = page(many(2), controls=Controls(shows_help=True))
    assert rows_of(text) == []
    for key in ("q, Ctrl-C", "/", "s", "p", "?", "PgUp"):
        assert f"\n{key}" in text or f" {key}" in text


def test_of_many_processes_those_in_trouble_are_shown_and_the_others_counted() -> None:
    well = [FakeRole("worker", f"worker-{n}", links=[FakeLink(f"worker-{n}")]) for n in range(20)]
    text, _ = page(*well, look_of(FakeRole(name="late"), silence=9.0), look_of(None, silence=9.0))
    assert text.startswith("randstream producer late  ")
    assert "\nstale: no answer for 9.0 s, since " in text
    assert "\n127.0.0.1:1  no answer for 9.0 s, since " in text
    assert "\nno answer from http://127.0.0.1:1: connection refused" in text
    assert "\nprocesses not shown: " in text
    assert "of them in trouble" not in text
    text, _ = page(*well, *[look_of(FakeRole(problem="why"))] * 5)
    assert "\nprocesses not shown: 22, 2 of them in trouble" in text


def test_why_a_process_does_not_answer_is_readable_on_a_narrow_screen() -> None:
    text, _ = page(look_of(None), FakeRole(), width=30, height=24)
    assert "connection refused" in " ".join(text.split())
