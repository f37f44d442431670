"""Controls: what each key changes."""

from __future__ import annotations

import pytest

from randstream.cli.top.controls import END, LONGEST_FILTER, Controls
from randstream.cli.top.rows import SORTS
from randstream.cli.top.view import FIRST_LINKS, MOST_LINKS, Wanted


def press(*keys: str, controls: Controls | None = None, lines: int = 100, page: int = 10) -> Controls:
    controls = controls or Controls()
    for key in keys:
        controls.press(key, lines=lines, page=page)
    return controls


@pytest.mark.parametrize(
    ("keys", "first"),
    [
        (["down", "down"], 2),
        (["up"], 0),
        (["page down", "page down", "up"], 17),
        (["page down", "page up", "page up"], 0),
        (["end"], END),
        (["end", "up"], 89),
        (["end", "page up"], 81),
        (["end", "down"], 90),
        (["end", "home"], 0),
        (["down", "s"], 0),
    ],
)
def test_arrows_and_their_neighbours_scroll(keys: list[str], first: int) -> None:
    assert press(*keys).first == first


def test_what_fits_does_not_scroll() -> None:
    assert press("down", "page down", lines=5).first == 0
    assert press("down", lines=0, page=0).first == 0


def test_s_goes_through_all_sorts_and_begins_anew() -> None:
    controls = Controls()
    seen = [press("s", controls=controls).sort for _ in SORTS]
    assert seen == [*list(SORTS)[1:], "trouble"]


def test_a_filter_is_typed_kept_by_enter_and_cleared_by_escape() -> None:
    controls = press("/", "q", "s", "x", "backspace")
    assert (controls.name_filter, controls.is_typing, controls.has_quit, controls.sort) == (
        "qs",
        True,
        False,
        "trouble",
    )
    press("enter", controls=controls)
    assert (controls.name_filter, controls.is_typing) == ("qs", False)
    press("/", controls=controls)
    assert (controls.name_filter, controls.is_typing) == ("", True)
    press("a", "escape", controls=controls)
    assert (controls.name_filter, controls.is_typing) == ("", False)
    press("/", "a", "enter", "escape", controls=controls)
    assert controls.name_filter == ""
    assert press("/", "a", "b", "clear", "c").name_filter == "c"
    assert len(press("/", *"a" * 1000).name_filter) == LONGEST_FILTER


def test_a_new_filter_is_read_from_its_start_and_scrolls_while_it_is_typed() -> None:
    assert press("page down", "/").first == 0
    assert press("/", "a", "down").first == 1
    assert press("/", "a", "down").name_filter == "a"


def test_q_quits_p_pauses_and_other_keys_do_nothing() -> None:
    assert press("q").has_quit
    assert press("p").is_paused
    assert not press("p", "p").is_paused
    assert press("enter", "backspace", "clear", "x", "Q") == Controls()


def test_the_help_is_left_by_any_key_and_q_still_quits() -> None:
    assert press("?").shows_help
    left = press("?", "s")
    assert (left.shows_help, left.sort, left.has_quit) == (False, "trouble", False)
    assert press("?", "q").has_quit


def test_all_links_are_wanted_once_more_than_the_first_are_looked_at() -> None:
    assert Controls(name_filter="a").wanted == Wanted(FIRST_LINKS, "a")
    for keys in (["s"], ["down"], ["end"]):
        assert press(*keys).wanted == Wanted(MOST_LINKS, "")
    assert press("down", "home").wanted == Wanted(FIRST_LINKS, "")
