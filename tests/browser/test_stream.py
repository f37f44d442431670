"""The page of one stream: its history, its interruptions, who serves it."""

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

from randstream.admin.server import AdminServer
from randstream.errors import Reason
from randstream.observe.interruptions import Interruption, Pause
from randstream.observe.status import LinkState, Standby

pytestmark = pytest.mark.browser
UP_SECONDS = 30 * 3600.0
RATE = 40


def ago(seconds: float, length: float, cause: Reason | Pause) -> Interruption:
    """One that began so many seconds ago."""
    return Interruption(time.time() - seconds, length, cause, None)


def three_streams() -> FakeRole:
    """worker-1 was interrupted an hour ago and at noon."""
    past = FakeInterruptions([ago(20_000, 90, Reason.CUT), ago(3600, 300, Pause.STALLED)])
    links = [FakeLink(f"worker-{number}", f"10.0.0.{number}:9000") for number in range(3)]
    links[1].interruptions, links[1].error = past, "the peer closed the connection"
    role = FakeRole(links=links)
    role.journal.note("link.stalled", "worker-1", "the disk is full")
    role.journal.note("link.resumed", "worker-2", "at offset 42")
    return role


def run_for_hours(admin: AdminServer) -> None:
    """What the server has seen for three hours: numbers at RATE, except while worker-1 was stalled."""
    role, now = admin.role, admin.role.clock.now()
    for seconds in range(-3 * 3600, 0, 10):
        admin.observer.tick(now + seconds)
        for link in role.links:
            if not (link.label[0] == "worker-1" and -3600 <= seconds < -3300):
                link.offset += 10 * RATE
            link.acked_offset = link.offset - RATE


@contextmanager
def opened(page: Any, role: FakeRole, address: str = "") -> Iterator[Any]:
    """The page at `address` of a role that has run for hours."""
    role.clock.now = lambda: time.monotonic() + UP_SECONDS
    with served(role, prepare=run_for_hours) as url:
        page.goto(url + address)
        yield page


def wait_title(page: Any, name: str) -> None:
    page.locator("#stream-title", has_text=name).wait_for(timeout=15_000)
    page.locator("#charts svg path.edge[d^=M]").first.wait_for(timeout=15_000)


def widths(page: Any, chart: str, selector: str) -> list[float]:
    """Of each unbroken part of a line, as a share of the window."""
    drawn = page.locator(f"[data-of={chart}] {selector}").get_attribute("d")
    whole = float(page.locator(f"[data-of={chart}] svg").get_attribute("viewBox").split()[2]) - 56
    parts = [(re.findall(r"[\d.]+", part)[0], re.findall(r"H([\d.]+)", part)[-1]) for part in drawn.split("M")[1:]]
    return [(float(right) - float(left)) / whole for left, right in parts]


def test_a_name_in_the_table_opens_the_page_of_its_stream_and_the_browser_goes_back(page: Any) -> None:
    with opened(page, three_streams()):
        page.locator("#streams").get_by_role("link", name="worker-1").click()
        wait_title(page, "worker-1")
        assert page.url.endswith("#/streams/worker-1")
        page.wait_for_function("() => before !== null")
        page.evaluate("show(before)")  # an event of the whole process changes neither
        assert page.title() == "worker-1 · randstream"
        assert page.locator("#streams").is_hidden()
        page.go_back()
        page.locator("#streams").wait_for()
        assert page.locator("#stream").is_hidden()
        assert page.locator(":focus").inner_text() == "worker-1"


def test_the_first_view_has_the_whole_history(page: Any) -> None:
    with opened(page, three_streams(), "#/streams/worker-1"):
        wait_title(page, "worker-1")
        assert widths(page, "rate", ".edge") == pytest.approx([1], abs=0.02)
        assert (
            page.locator("[data-of=rate] svg")
            .get_attribute("aria-label")
            .startswith("Rate over the last two hours, numbers a second: mean 38, highest 40")
        )
        assert page.locator("[data-of=rate] text.amount").all_text_contents() == ["0", "20", "40"]
        assert len(page.locator("[data-of=lag] text.time").all()) in (3, 4)
        assert page.locator("[data-of=round_trip] text.amount").last.text_content() == "1.00 ms"
        page.get_by_text("2 days", exact=True).click()
        assert widths(page, "rate", ".edge") == pytest.approx([4 / 48], abs=1 / 48)


def test_interruptions_are_in_the_charts_and_in_words(page: Any) -> None:
    with opened(page, three_streams(), "#/streams/worker-1"):
        wait_title(page, "worker-1")
        assert page.locator("[data-of=rate] path.paused").get_attribute("d")
        assert not page.locator("[data-of=rate] path.lost").get_attribute("d")
        assert "5 min 0 s, stalled" in page.locator("#stream-past li").first.inner_text()
        assert "90.0 s, cut" in page.locator("#stream-past li").last.inner_text()
        assert page.locator("#stream-counts").inner_text().startswith("2 since ")
        assert page.locator("#stream-error").inner_text() == "the peer closed the connection"
        page.get_by_text("2 days", exact=True).click()
        assert page.locator("[data-of=rate] path.lost").get_attribute("d")


def test_only_its_own_events_are_shown(page: Any) -> None:
    with opened(page, three_streams(), "#/streams/worker-1"):
        wait_title(page, "worker-1")
        assert len(page.locator("#stream-events li").all()) == 1
        assert "the disk is full" in page.locator("#stream-events").inner_text()
        page.goto(page.url.replace("worker-1", "worker-0"))
        wait_title(page, "worker-0")
        page.locator("#stream-events").wait_for(state="hidden")


def test_the_keyboard_reads_every_minute_and_escape_leads_back(page: Any) -> None:
    with opened(page, three_streams(), "#/streams/worker-1"):
        wait_title(page, "worker-1")
        page.locator("#moment").focus()
        page.keyboard.press("Home")
        first = page.locator("#moment").get_attribute("aria-valuetext")
        assert "rate 40, highest 40 · lag 40, highest 40 · round trip 1.00 ms" in first
        assert page.locator("#moment").get_attribute("aria-valuenow") == "1"
        assert page.locator("[data-of=rate] .choice").get_attribute("d")
        for _ in range(62):
            page.keyboard.press("ArrowRight")
        assert "rate 0, " in page.locator("#moment").inner_text()
        page.keyboard.press("Escape")
        page.locator("#streams").wait_for()


def test_a_pointer_reads_the_minute_below_it(page: Any) -> None:
    with opened(page, three_streams(), "#/streams/worker-1"):
        wait_title(page, "worker-1")
        box = page.locator("#charts").bounding_box()
        page.mouse.move(box["x"] + 56 + (box["width"] - 56) * 0.52, box["y"] + 60)
        assert "rate 0, " in page.locator("#moment").inner_text()
        page.mouse.move(box["x"] + 5, 5)
        assert page.locator("[data-of=rate] .choice").get_attribute("d") == ""


def test_an_unknown_name_is_said_to_be_and_the_way_back_is_there(page: Any) -> None:
    with opened(page, three_streams(), "#/streams/%3Cb%3Eworker-9%3C%2Fb%3E"):
        page.get_by_role("heading", name="No stream is called “<b>worker-9</b>”", exact=True).wait_for()
        assert page.locator("#charts").is_hidden()
        page.get_by_role("link", name="All streams").click()
        page.get_by_role("heading", name="All 3 streams flow").wait_for()
        page.get_by_text("6 h", exact=True).click()
        assert page.url.endswith("/?window=6h#/")


@pytest.mark.parametrize("name", ["50%", "a/b c?#&", "wörker", "<img src=x onerror=alert(1)>", "10.0.0.9:9000"])
def test_any_name_has_a_page(page: Any, name: str) -> None:
    with opened(page, FakeRole(links=[FakeLink(name, "b:1"), FakeLink("worker-0", "b:2")])):
        page.locator("#streams").get_by_role("link", name=name, exact=True).click()
        wait_title(page, name)
        assert page.locator("#stream-sub").inner_text() == "streaming"
        page.reload()
        wait_title(page, name)
        assert page.locator("img").count() == 0


def test_a_square_of_the_field_opens_its_stream_and_a_stream_that_comes_appears(page: Any) -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}", f"b:{number}") for number in range(20)])
    with opened(page, role):
        page.locator("#field i").nth(7).click()
        wait_title(page, "worker-7")
        link = role.links.pop(7)
        page.get_by_role("heading", name="No stream is called “worker-7”").wait_for()
        role.links.append(link)
        wait_title(page, "worker-7")
        link.state, link.reason = LinkState.WAITING, "connection refused"
        page.locator("#stream-title.down").wait_for()
        assert page.locator("#stream-sub").inner_text().startswith("unreachable · b:7 · connection refused")


def test_a_worker_shows_who_serves_who_waits_and_where_its_numbers_are(page: Any) -> None:
    link = FakeLink("worker-0", "producer-1", served_by="producer-1", served_for=200.0, round_trip=None)
    link.standbys = (Standby("producer-0", "6ae2a63a0ac05109", 4000.0),)
    with opened(page, FakeRole("worker", "worker-0", rate=None, links=[link])):
        page.locator("#streams").get_by_role("link", name="worker-0").click()
        wait_title(page, "worker-0")
        assert page.locator("#stream-members li").all_inner_texts() == [
            "producer-1\nserving for 3 min", "producer-0\nwaiting for 67 min",
        ]  # fmt: skip
        assert page.locator("[data-of=round_trip]").is_hidden()
        assert page.locator("#stream-numbers a").get_attribute("href") == "numbers"
        assert "rate" not in page.locator("#stream-settings").inner_text()


def test_the_links_of_a_producers_stream_lead_to_its_json_and_to_the_metrics(page: Any) -> None:
    with opened(page, three_streams(), "#/streams/worker-1"):
        wait_title(page, "worker-1")
        assert page.locator("#stream-json").get_attribute("href") == "api/links?filter=worker-1&interruptions=100"
        assert page.locator("#stream-numbers").is_hidden()
        settings = page.locator("#stream-settings").inner_text()
        assert "40 a second" in settings
        page.locator("#stream").get_by_role("link", name="the metrics").click()
        assert "randstream_stream_lag_numbers" in page.locator("body").inner_text()


def test_the_page_says_that_no_answer_comes_and_goes_on_when_one_does(page: Any) -> None:
    role = three_streams()
    with opened(page, role, "#/streams/worker-1"):
        wait_title(page, "worker-1")
        port = int(re.search(r":(\d+)/", page.url)[1])  # type: ignore[index] # the URL has a port
    page.get_by_text("no answer since").wait_for()
    with served(role, port):
        page.locator("#stream-sub", has_text="streaming").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    with opened(page, three_streams(), "#/streams/worker-1"):
        wait_title(page, "worker-1")
        assert violations(page) == {}
        page.locator("#moment").focus()
        page.keyboard.press("Home")
        assert violations(page) == {}


@pytest.mark.parametrize("width", [320, 768, 1920])
def test_the_page_fits_whatever_the_width(page: Any, width: int) -> None:
    links = [FakeLink("worker-0.randstream.svc.cluster.local" + "x" * 80, "b:1", offset=10**12, error="e" * 200)]
    page.set_viewport_size({"width": width, "height": 800})
    with opened(page, FakeRole(links=links)):
        page.locator("#streams").get_by_role("link", name="worker-0").click()
        wait_title(page, "worker-0")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
