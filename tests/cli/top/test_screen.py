"""Screen: what stands in the table, above it and below it."""

from __future__ import annotations

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.cli.top.views import rows_of, screen, view_of
from tests.support.clock import StoppedClock

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
    text = screen(view_of(role, silence=9.0))
    assert "0 of 1 streams flow" in text
    assert "not ready: cannot resolve worker" in text
    assert "several producers are named p" in text
    assert "stale: no answer for 9 s" in text


def test_the_last_events_and_the_count_of_links_left_out_are_shown() -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}") for number in range(9)])
    role.journal.note("link.lost", "worker-3", "cut")
    assert "and 7 more; those in trouble come first" in screen(role, rows=2)
    text = screen(view_of(role, limit=2))
    assert "9 of 9 streams flow" in text
    assert "and 7 more; those in trouble come first" in text
    assert "worker-3 lost: cut" in text


def test_text_from_peers_is_not_markup_and_does_not_move_the_cursor() -> None:
    role = FakeRole(links=[FakeLink("[red]x[/red]\x1b[2J")])
    text = screen(role)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_screen_fits_the_terminal(width: int) -> None:
    role = FakeRole(links=[FakeLink(offset=10**12, served_by="producer-0")])
    text = screen(role, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "1,000,000,000,000" in rows_of(text)[0]


def test_interruptions_are_shown_where_there_is_room_and_one_that_goes_on_is_told_below() -> None:
    role = FakeRole(links=[FakeLink()], clock=StoppedClock())
    link = role.links[0].interruptions
    now = role.clock.now()
    link.proved(now - 100.0, None)
    link.lost(Reason.CUT, now - 50.0)
    link.proved(now - 40.0, None)
    assert rows_of(screen(role))[0][-3:] == ["1", "10.0", "s"]
    assert "interrupted" not in screen(role, width=120)
    link.lost(Reason.TIMEOUT, now - 30.0)
    text = screen(role)
    assert rows_of(text)[0][-3:-1] == ["2", "30.0"]
    assert "\nworker-0: interrupted for 30.0 s: timeout\n" in text
