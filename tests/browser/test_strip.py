"""The strips of the live page: when each stream was interrupted, and for how long."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.admin.roles import FakeInterruptions, FakeLink, FakeRole
from tests.browser.accessibility import violations
from tests.browser.streams import served

from randstream.errors import Reason
from randstream.observe.interruptions import KEPT, Cause, Interruption, Pause
from randstream.observe.status import LinkState, Standby

pytestmark = pytest.mark.browser
HOURS = 3600.0
LEFT_WITHIN = 0.02
"""Of the width: 18 s of 15 minutes, in which a busy machine must get from the truth to the picture of it."""


def ago(seconds: float, length: float, cause: Cause = Reason.TIMEOUT, unnoticed: float | None = None) -> Interruption:
    """One that began so many seconds ago."""
    return Interruption(time.time() - seconds, length, cause, unnoticed)


def links(*interruptions: FakeInterruptions) -> list[FakeLink]:
    """worker-0 and those after it, with these interruptions."""
    return [
        FakeLink(f"worker-{number}", f"10.0.0.{number}:9000", interruptions=those)
        for number, those in enumerate(interruptions)
    ]


@contextmanager
def opened(page: Any, role: FakeRole, query: str = "", up: float = 30 * HOURS) -> Iterator[Any]:
    """The page of a role that has run for `up` seconds, with all strips in view drawn."""
    with served(role) as url:
        role.clock.now = lambda: time.monotonic() + up
        page.goto(url + query)
        page.wait_for_function("() => document.querySelector('.strip[role]')")
        yield page


def strip(page: Any, name: str) -> Any:
    return page.locator("#streams tbody", has=page.get_by_text(name, exact=True)).locator(".strip")


def boxes(page: Any, name: str, family: str) -> list[tuple[float, float, float]]:
    """The marks of a family: left, right and height, as parts of the band."""
    width, high = map(float, strip(page, name).locator("svg").get_attribute("viewBox").split()[2:])
    drawn = strip(page, name).locator(f"path.{family}").get_attribute("d") or ""
    return [
        (float(left) / width, float(right) / width, 1 - float(top) / high)
        for left, top, right in re.findall(r"M([\d.]+) ([\d.]+)H([\d.]+)V", drawn)
    ]


def test_interruptions_are_at_their_places_in_the_shape_of_their_kind(page: Any) -> None:
    past = [ago(720, 90), ago(450, 180, Pause.SILENCE), ago(90, 0.001, Pause.HAND_OVER)]
    with opened(page, FakeRole(links=links(FakeInterruptions(past), FakeInterruptions()))):
        [(left, right, height)] = boxes(page, "worker-0", "lost")
        assert left == pytest.approx(0.2, abs=LEFT_WITHIN)
        assert right - left == pytest.approx(0.1, abs=0.002)
        assert height == 1
        [(left, right, height)] = boxes(page, "worker-0", "paused")
        assert left == pytest.approx(0.5, abs=LEFT_WITHIN)
        assert right - left == pytest.approx(0.2, abs=0.002)
        assert 0.5 < height < 1
        [(left, right, height)] = boxes(page, "worker-0", "planned")
        assert left == pytest.approx(0.9, abs=LEFT_WITHIN)
        assert (right - left) * page.locator("#axis").evaluate("axis => axis.clientWidth") == pytest.approx(2, abs=0.2)
        assert 0.2 < height < 0.5
        assert all(boxes(page, "worker-1", family) == [] for family in ("lost", "paused", "planned"))
        assert strip(page, "worker-1").get_attribute("aria-label") == (
            "worker-1: no known interruption in the last 15 minutes"
        )
        cells = page.locator("#streams tbody").first.locator("td[data-label]").all_inner_texts()
        assert cells[4:] == ["3", "3 min 0 s", "4 min 30 s", "99.249 %"]
        told = page.locator("#told").inner_text()
        assert told.startswith("1 of 2 streams interrupted in the last 15 minutes; last worker-0, for 1.00 ms at ")


def test_one_that_goes_on_reaches_now_and_says_so(page: Any) -> None:
    now = FakeInterruptions([], (time.time() - 300, Reason.CUT))
    stream = links(now)
    stream[0].state = LinkState.WAITING
    with opened(page, FakeRole(links=stream)):
        [(left, right, _)] = boxes(page, "worker-0", "lost")
        assert left == pytest.approx(2 / 3, abs=LEFT_WITHIN)
        assert right == pytest.approx(1, abs=0.005)
        assert "until now" in strip(page, "worker-0").get_attribute("aria-valuetext")
        assert "; now worker-0, since " in page.locator("#told").inner_text()
        assert page.locator("#streams tbody td[data-label=interruptions]").inner_text() == "1"


def test_the_window_can_be_chosen_and_is_in_the_address(page: Any) -> None:
    with opened(page, FakeRole(links=links(FakeInterruptions([ago(18 * HOURS, 60), ago(3 * HOURS, 60)])))):
        assert boxes(page, "worker-0", "lost") == []
        assert "Not interrupted in the last 15 minutes" in page.locator("#told").inner_text()
        page.get_by_text("6 h", exact=True).click()
        [(left, _, _)] = boxes(page, "worker-0", "lost")
        assert left == pytest.approx(0.5, abs=0.01)
        page.keyboard.press("ArrowRight")
        assert [left for left, _, _ in boxes(page, "worker-0", "lost")] == pytest.approx([0.25, 0.875], abs=0.01)
        assert page.url.endswith("?window=24h")
        page.reload()
        page.wait_for_function("() => document.querySelector('.strip[role=slider]')")
        assert page.locator("#spans input:checked").input_value() == "24h"
        assert len(boxes(page, "worker-0", "lost")) == 2


@pytest.mark.parametrize("asked", ["?window=constructor", "?window=", "?window=7d&x=%"])
def test_a_window_that_is_none_is_the_shortest(page: Any, asked: str) -> None:
    with opened(page, FakeRole(), asked):
        assert page.locator("#spans input:checked").input_value() == "15m"


def test_the_keyboard_reaches_every_interruption_and_reads_it(page: Any) -> None:
    past = [ago(800, 12.5, Reason.TIMEOUT, 1.5), ago(500, 2, Pause.STALLED), ago(200, 7, Reason.CUT, 0.25)]
    with opened(page, FakeRole(links=links(FakeInterruptions(past), FakeInterruptions()))):
        bubble = page.locator("#bubble")
        page.get_by_role("button", name="availability").focus()
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "worker-0"  # leads to its own page
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        assert focused.get_attribute("role") == "slider"
        assert focused.get_attribute("aria-label") == "Interruptions of worker-0 in the last 15 minutes"
        assert bubble.inner_text().startswith("7.0 s, cut\n")
        for key, head, place in (
            ("ArrowLeft", "2.0 s, stalled", "2"),
            ("Home", "12.5 s, timeout", "1"),
            ("ArrowLeft", "12.5 s, timeout", "1"),
            ("ArrowRight", "2.0 s, stalled", "2"),
            ("End", "7.0 s, cut", "3"),
        ):
            page.keyboard.press(key)
            assert bubble.locator("b").inner_text() == head
            assert focused.get_attribute("aria-valuenow") == place
            assert focused.get_attribute("aria-valuetext").startswith(f"{head}. ")
        assert "noticed after 250 ms" in bubble.inner_text()
        page.keyboard.press("Escape")
        assert bubble.is_hidden()
        page.keyboard.press("Home")
        assert bubble.is_visible()
        page.keyboard.press("Tab")
        assert bubble.is_hidden()
        assert page.locator(":focus").inner_text() == "worker-1"
        page.keyboard.press("Tab")  # a strip without interruptions is not in the way
        assert page.locator(":focus").get_attribute("id") == "events"


def test_the_choice_stays_while_time_moves_and_rows_change_places(page: Any) -> None:
    past = [ago(500, 5, Reason.TIMEOUT), ago(200, 7, Reason.CUT)]
    streams = links(FakeInterruptions(past), FakeInterruptions())
    with opened(page, FakeRole(links=streams)):
        strip(page, "worker-0").focus()
        page.keyboard.press("Home")
        streams[1].state = LinkState.STALLED
        page.wait_for_function("() => document.querySelector('#streams tbody').className === 'stalled'")
        assert page.locator("#bubble b").inner_text() == "5.0 s, timeout"
        assert strip(page, "worker-0").evaluate("strip => strip === document.activeElement")


def test_a_pointer_finds_the_nearest_and_leaves_it(page: Any) -> None:
    with opened(page, FakeRole(links=links(FakeInterruptions([ago(450, 1, Reason.TIMEOUT)])))):
        box = strip(page, "worker-0").bounding_box()
        [(left, _, _)] = boxes(page, "worker-0", "lost")
        x, y = box["x"] + left * box["width"], box["y"] + box["height"] / 2
        page.mouse.move(x - 5, y)
        assert page.locator("#bubble b").inner_text() == "1.0 s, timeout"
        page.mouse.move(x - 5, y + 25)  # onto the bubble, which stays
        assert page.locator("#bubble").is_visible()
        page.mouse.move(x + 90, y)
        assert page.locator("#bubble").is_hidden()


def test_a_finger_finds_the_nearest_and_is_lifted_to_read(browser: Any) -> None:
    past = [ago(600, 1, Reason.TIMEOUT), ago(150, 1, Reason.CUT)]
    page = browser.new_page(has_touch=True, viewport={"width": 360, "height": 1200})
    with opened(page, FakeRole(links=links(FakeInterruptions(past)))):
        box = strip(page, "worker-0").bounding_box()
        left = boxes(page, "worker-0", "lost")[0][0]
        page.touchscreen.tap(box["x"] + left * box["width"] + 4, box["y"] + box["height"] / 2)
        assert page.locator("#bubble b").inner_text() == "1.0 s, timeout"
        page.touchscreen.tap(20, 20)
        assert page.locator("#bubble").is_hidden()
    page.close()


def test_those_too_close_to_point_at_are_one_choice(page: Any) -> None:
    past = [
        ago(10 * HOURS + 30 * number, 2, cause) for number, cause in enumerate([Reason.CUT, Reason.CUT, Reason.TLS])
    ]
    with opened(page, FakeRole(links=links(FakeInterruptions(past[::-1]))), "?window=24h"):
        strip(page, "worker-0").focus()
        assert page.locator("#bubble b").inner_text() == "3 interruptions, 6.0 s in all"
        assert "the longest 2.0 s · 1 × tls, 2 × cut" in page.locator("#bubble").inner_text()


def test_what_is_not_known_looks_unlike_what_is_well(page: Any) -> None:
    with opened(page, FakeRole(links=links(FakeInterruptions())), up=450):
        unknown = strip(page, "worker-0").locator("path.unknown").get_attribute("d")
        width = page.locator("#axis").evaluate("axis => axis.clientWidth")
        assert float(unknown.rpartition("H")[2]) / width == pytest.approx(0.5, abs=LEFT_WITHIN)
        [(known, _, _)] = boxes(page, "worker-0", "known")
        assert known == pytest.approx(0.5, abs=LEFT_WITHIN)
        assert page.locator("#told").inner_text().endswith(", when this process started.")


def test_all_that_the_server_keeps_come_into_view_and_older_ones_are_unknown(page: Any) -> None:
    past = [ago(800 - 5 * number, 1) for number in range(KEPT)]
    with opened(page, FakeRole(links=links(FakeInterruptions(past, forgotten=7)))):
        page.wait_for_function(
            "() => document.querySelector('.strip path.lost').getAttribute('d').split('M').length === 101"
        )
        [(known, _, _)] = boxes(page, "worker-0", "known")
        assert known == pytest.approx(100 / 900, abs=LEFT_WITHIN)
        assert strip(page, "worker-0").locator("path.unknown").get_attribute("d")


def test_one_that_ends_while_the_page_is_open_is_added(page: Any) -> None:
    those = FakeInterruptions([ago(800 - 100 * number, 1) for number in range(5)])
    with opened(page, FakeRole(links=links(those))):
        for count in (6, 7):
            those.add(ago(10, 0.5, Reason.CUT))
            page.wait_for_function(
                "count => document.querySelector('.strip path.lost').getAttribute('d').split('M').length > count",
                arg=count,
            )


def test_a_restarted_process_knows_nothing_of_before(page: Any) -> None:
    role = FakeRole(links=links(FakeInterruptions([ago(800 - 100 * number, 20) for number in range(5)])))
    with opened(page, role):
        assert len(boxes(page, "worker-0", "lost")) >= 3
        port = int(page.url.partition("?")[0].rstrip("/").rpartition(":")[2])
    others = FakeInterruptions([ago(300 - 50 * number, 20, Pause.SILENCE) for number in range(5)])
    with served(FakeRole(links=links(others)), port):
        page.wait_for_function("() => document.querySelector('.strip path.paused').getAttribute('d')")
        assert boxes(page, "worker-0", "lost") == []


def test_of_a_hundred_those_interrupted_are_first_and_in_the_squares(page: Any) -> None:
    streams = links(*(FakeInterruptions([ago(60 + number, 5)] if number % 10 == 7 else []) for number in range(100)))
    streams[50].state = LinkState.STALLED
    with opened(page, FakeRole(links=streams)):
        assert page.locator("#streams tbody .name a").all_inner_texts()[:3] == ["worker-50", "worker-7", "worker-17"]
        assert page.locator("#field i.recent").count() == 10
        assert page.locator("#told").inner_text().startswith("10 of 100 streams interrupted in the last 15 minutes")
        assert "; last worker-7, for 5.0 s at " in page.locator("#told").inner_text()
        assert boxes(page, "worker-7", "lost")


def test_rows_out_of_view_are_not_drawn_until_they_are_seen(page: Any) -> None:
    streams = links(*(FakeInterruptions([ago(60, 5)]) for _ in range(2000)))
    with opened(page, FakeRole(links=streams)):
        page.get_by_text("1,000 of 2,000 streams are shown").wait_for()
        assert page.locator(".strip[role]").count() < 60
        page.keyboard.press("End")
        page.locator("#streams tbody", has_text="worker-990").locator(".strip[role=slider]").wait_for()


def test_a_stale_page_says_until_when_it_is_true(page: Any) -> None:
    with opened(page, FakeRole(links=links(FakeInterruptions([ago(60, 5)])))):
        pass
    page.get_by_role("heading", name=re.compile("No word from producer-0 for")).wait_for()
    assert page.locator("#axis span").last.inner_text() != "now"
    assert violations(page) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_in_any_state(page: Any, scheme: str, width: int) -> None:
    past = [ago(700, 20), ago(400, 5, Pause.STALLED), ago(100, 1, Pause.HAND_OVER)]
    streams = links(*(FakeInterruptions(past[: number % 4]) for number in range(20)))
    for link, state in zip(streams, LinkState, strict=False):
        link.state = state
        if state is not LinkState.STREAMING:
            link.reason, link.since = "no route to host", time.time()
    role = FakeRole(links=streams, warning="several producers are named producer-0")
    role.journal.note("link.lost", "worker-1", "cut")
    role.journal.note("link.stalled", "worker-2", "no space left on device")
    role.journal.note("link.resumed", "worker-3", "at offset 7")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    with opened(page, role):
        assert violations(page) == {}
        page.locator(".strip[tabindex]").first.focus()
        assert violations(page) == {}
        role.problem = "not listening"
        page.get_by_text("not ready: not listening").wait_for()
        assert violations(page) == {}
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_a_workers_page(page: Any, scheme: str) -> None:
    standbys = (Standby("producer-0", "6ae2a63a0ac05109", 4.0),)
    link = FakeLink("worker-0", "producer-1", served_by="producer-1", served_for=9.0, standbys=standbys)
    page.emulate_media(color_scheme=scheme)
    with opened(page, FakeRole("worker", "worker-0", links=[link])):
        assert violations(page) == {}


def test_high_contrast_keeps_every_shape(page: Any) -> None:
    streams = links(*(FakeInterruptions([ago(100, 20)] if number == 3 else []) for number in range(20)))
    for number, state in enumerate((LinkState.STALLED, LinkState.WAITING, LinkState.FINISHED)):
        streams[number].state = state
    page.emulate_media(forced_colors="active")
    with opened(page, FakeRole(links=streams)):
        looks = page.evaluate(
            """() => [".streaming:not(.recent)", ".stalled", ".down", ".finished", ".streaming.recent"].map(kind => {
              const style = getComputedStyle(document.querySelector(`#field i${kind}`));
              return [style.backgroundColor, style.backgroundImage, style.borderStyle, style.borderColor].join();
            })"""
        )
        assert len(set(looks)) == 5
        ink = page.evaluate("getComputedStyle(document.body).color")
        assert all(ink in look for look in looks)
        colours = page.evaluate(
            """() => ["#field i.streaming:not(.recent)", ".strip .lost", ".key.lost"].map(place => {
              const style = getComputedStyle(document.querySelector(place));
              return place.startsWith(".strip") ? style.fill : style.backgroundColor;
            }).concat(getComputedStyle(document.body).color)"""
        )
        assert len(set(colours)) == 1
        assert violations(page) == {}
