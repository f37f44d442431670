"""The table of the live page: what is chosen of it, in which order, and how little of it is drawn."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from tests.admin.roles import FakeInterruptions, FakeLink, FakeRole
from tests.browser.accessibility import violations
from tests.browser.streams import served

from randstream.errors import Reason
from randstream.observe.interruptions import Interruption
from randstream.observe.status import LinkState

pytestmark = pytest.mark.browser
MOST_DRAWN = 60
"""Rows in the document, of a window that shows about 15."""


def links(count: int, *states: LinkState) -> list[FakeLink]:
    """Those after the first `states` stream; each has sent more than the one before."""
    made = [FakeLink(f"worker-{number}", f"10.0.0.{number}:9000", offset=1000 + number) for number in range(count)]
    for link, state in zip(made, states, strict=False):
        link.state = state
    return made


def shown(page: Any) -> list[str]:
    """The names in the table, in order."""
    names: list[str] = page.locator("#streams tbody .name a").all_inner_texts()
    return names


def wait_shown(page: Any, *names: str) -> None:
    page.wait_for_function(
        "names => names === [...document.querySelectorAll('#streams .name a')].map(name => name.innerText).join(' ')",
        arg=" ".join(names),
    )


def states(page: Any) -> list[str]:
    """The states that can be chosen, with their counts."""
    return [label.replace("\n", " ") for label in page.locator("#states label").filter(visible=True).all_inner_texts()]


def choice(page: Any, label: str) -> Any:
    """Of a state."""
    return page.locator("#states").get_by_text(label, exact=True)


def column(page: Any, name: str) -> Any:
    return page.get_by_role("columnheader", name=name, exact=True)


def test_a_column_sorts_by_its_figure_then_the_other_way_round_then_no_more(page: Any) -> None:
    role = FakeRole(links=links(3, LinkState.STREAMING, LinkState.STALLED))
    with served(role) as url:
        page.goto(url)
        wait_shown(page, "worker-1", "worker-0", "worker-2")
        offset = column(page, "offset")
        for order, sort, names in (
            ("descending", "offset", ("worker-2", "worker-1", "worker-0")),
            ("ascending", "-offset", ("worker-0", "worker-1", "worker-2")),
            (None, "", ("worker-1", "worker-0", "worker-2")),
        ):
            offset.get_by_role("button").click()
            wait_shown(page, *names)
            assert offset.get_attribute("aria-sort") == order
            assert page.url == url + (f"?sort={sort}" if sort else "")
        column(page, "worker").get_by_role("button").click()
        wait_shown(page, "worker-0", "worker-1", "worker-2")
        assert column(page, "worker").get_attribute("aria-sort") == "ascending"
        assert page.locator("th[aria-sort]").count() == 1
        column(page, "round trip").get_by_role("button").press("Enter")
        wait_shown(page, "worker-0", "worker-2", "worker-1")  # what is not true now comes last


def test_states_are_counted_and_one_can_be_chosen(page: Any) -> None:
    role = FakeRole(links=links(20, LinkState.WAITING, LinkState.DIALLING, LinkState.STALLED, LinkState.STANDBY))
    with served(role) as url:
        page.goto(url)
        choice(page, "all 20").wait_for()
        assert states(page) == ["all 20", "down 2", "stalled 1", "streaming 16", "standby 1"]
        choice(page, "down 2").click()
        wait_shown(page, "worker-0", "worker-1")
        assert page.url == f"{url}?state=down"
        for link in role.links[:2]:
            link.state = LinkState.STREAMING
        page.get_by_text("No stream is down.").wait_for()
        assert states(page) == ["all 20", "down 0", "stalled 1", "streaming 18", "standby 1"]
        page.keyboard.press("ArrowRight")  # as in any group of radio buttons
        wait_shown(page, "worker-2")
        page.fill("#filter", "worker-3")
        page.get_by_text("No stream is called “worker-3” and is stalled.").wait_for()


def test_what_is_chosen_is_in_the_address_and_comes_back_with_it(page: Any) -> None:
    role = FakeRole(links=links(12, LinkState.STALLED))
    with served(role) as url:
        page.goto(f"{url}?window=6h&sort=-offset&state=streaming&filter=worker-1")
        wait_shown(page, "worker-1", "worker-10", "worker-11")
        assert page.locator("#filter").input_value() == "worker-1"
        assert page.locator("#spans input:checked").input_value() == "6h"
        page.locator(".name a").nth(1).click()
        page.get_by_role("heading", name="worker-10").wait_for()
        page.go_back()
        wait_shown(page, "worker-1", "worker-10", "worker-11")
        assert page.evaluate("document.activeElement.innerText") == "worker-10"
        page.fill("#filter", "")
        choice(page, "all 12").click()
        column(page, "offset").get_by_role("button").click()
        page.get_by_text("15 min", exact=True).click()
        assert page.url.partition("#")[0] == f"{url}?window=15m"


@pytest.mark.parametrize(
    "query", ["?state=constructor&sort=__proto__", "?state=&sort=-", "?sort=--offset&filter=%00%F0"]
)
def test_an_address_that_asks_for_nothing_known_shows_all(page: Any, query: str) -> None:
    with served(FakeRole(links=links(3, LinkState.STALLED))) as url:
        page.goto(url + query.partition("&filter")[0])
        wait_shown(page, "worker-0", "worker-1", "worker-2")
        page.goto(url + query)
        page.locator("#states b", has_text="3").wait_for()


def test_of_two_thousand_streams_only_what_is_near_is_in_the_document(page: Any) -> None:
    role = FakeRole(links=links(2000, LinkState.STALLED))
    with served(role) as url:
        page.goto(url)
        page.get_by_text("1,000 of 2,000 streams are shown").wait_for(state="attached")
        assert shown(page)[:2] == ["worker-0", "worker-1"]
        high = page.evaluate("document.documentElement.scrollHeight")
        for place in (0.3, 0.9, 0.1, 0.6):
            page.evaluate("y => scrollTo(0, y)", high * place)
            page.wait_for_function(
                "() => [...document.querySelectorAll('#streams tbody:not(.space)')].some(({rows: [row]}) =>"
                " row.getBoundingClientRect().top > 60 && row.getBoundingClientRect().bottom < innerHeight / 3)"
            )
            assert len(shown(page)) < MOST_DRAWN
            head = page.locator("#streams thead").bounding_box()
            assert head["y"] == 0
            # What is in sight is in order, without a gap.
            numbers = [int(name.removeprefix("worker-")) for name in shown(page)]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        page.keyboard.press("End")
        page.get_by_text("worker-999", exact=True).wait_for()
        row = page.locator("#streams tbody", has_text="worker-999").locator("tr").first
        assert row.get_attribute("aria-rowindex") == str(3 + 3 * 999)
        assert page.locator("#streams").get_attribute("aria-rowcount") == "3002"
        assert abs(page.evaluate("document.documentElement.scrollHeight") / high - 1) < 0.1


def test_a_filter_a_state_and_an_order_are_those_of_all_streams_not_of_the_first_thousand(page: Any) -> None:
    role = FakeRole(links=links(1200, *[LinkState.STREAMING] * 1199, LinkState.FINISHED))
    with served(role) as url:
        page.goto(url)
        column(page, "offset").get_by_role("button").click()
        page.wait_for_function("() => document.querySelector('#streams .name a').innerText === 'worker-1199'")
        assert page.locator("#field i").count() == 1200  # the first thousand as well
        choice(page, "finished 1").click()
        wait_shown(page, "worker-1199")
        choice(page, "all 1,200").click()
        page.fill("#filter", "worker-115")
        page.wait_for_function("() => document.querySelectorAll('#streams .name a').length === 11")
        assert shown(page)[0] == "worker-1159"


def test_the_view_stays_where_it_is_while_rows_above_come_and_go(page: Any) -> None:
    role = FakeRole(links=links(300))
    with served(role) as url:
        page.goto(f"{url}?sort=name")
        choice(page, "all 300").wait_for()
        page.evaluate("scrollTo(0, 6000)")
        page.wait_for_timeout(300)
        watched = page.locator("#streams .name a").nth(20)
        name, before = watched.inner_text(), watched.bounding_box()["y"]
        for link in role.links[:10]:
            link.state, link.reason, link.since = LinkState.STALLED, "disk full", time.time()
        choice(page, "stalled 10").wait_for()
        page.wait_for_timeout(1200)
        assert page.get_by_text(name, exact=True).bounding_box()["y"] == pytest.approx(before, abs=2)


def test_events_are_those_of_the_streams_that_are_looked_for(page: Any) -> None:
    role = FakeRole(links=links(3))
    for number in range(3):
        role.journal.note("link.lost", f"worker-{number}", "why")
    with served(role) as url:
        page.goto(url)
        events = page.locator("#events li")
        page.wait_for_function("() => document.querySelectorAll('#events li').length === 3")
        page.fill("#filter", "worker-1")
        page.wait_for_function("() => document.querySelectorAll('#events li').length === 1")
        assert "worker-1 lost" in events.inner_text()
        page.get_by_text("Only those of “worker-1”.").wait_for()
        page.fill("#filter", "10.0.0.2")
        page.get_by_text("None of “10.0.0.2” among the last 3.").wait_for()
        page.fill("#filter", "")
        events.first.get_by_role("link", name="worker-2").click()
        page.get_by_role("heading", name="worker-2").wait_for()


def test_the_way_back_leads_to_the_row_though_it_is_far_down(page: Any) -> None:
    role = FakeRole(links=links(300))
    with served(role) as url:
        page.goto(f"{url}#/streams/worker-250")
        page.get_by_role("heading", name="worker-250").wait_for()
        page.wait_for_function("() => rows.size === 300")
        page.get_by_role("link", name="All streams", exact=True).click()
        page.wait_for_function("() => document.activeElement.innerText === 'worker-250'")
        top = page.get_by_role("link", name="worker-250", exact=True).bounding_box()["y"]
        assert 0 < top < 900


def test_more_leads_to_what_programs_read(page: Any) -> None:
    with served(FakeRole()) as url:
        page.goto(url)
        more = page.locator("main:not(#stream) .links a").filter(visible=True)
        page.get_by_text("all streams as JSON").wait_for()
        assert [link.get_attribute("href") for link in more.all()] == ["api/links", "metrics"]
    with served(FakeRole("worker", "worker-0", links=links(1))) as url:
        page.goto(url)
        page.get_by_text("the numbers", exact=True).wait_for()


NO_ROW_UNDER_THE_HEADER = """() => {
  const end = document.querySelector("#streams thead").getBoundingClientRect().bottom;
  const rows = [...document.querySelectorAll("#streams tbody:not(.space)")];
  const tops = rows.map(row => row.getBoundingClientRect().top).filter(top => top >= end);
  scrollBy(0, Math.min(...tops) - end);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_in_a_long_table(page: Any, scheme: str, width: int) -> None:
    role = FakeRole(links=links(200, LinkState.WAITING, LinkState.STALLED, LinkState.STANDBY))
    past = Interruption(time.time() - 60, 5, Reason.CUT, None)
    role.links[5].interruptions = FakeInterruptions([past])
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    with served(role) as url:
        page.goto(f"{url}?sort=-offset")
        choice(page, "all 200").wait_for()
        assert violations(page) == {}
        page.evaluate("scrollTo(0, 5000)")
        page.wait_for_timeout(300)
        page.evaluate(NO_ROW_UNDER_THE_HEADER)  # axe would find that what is left of a covered link is too small
        page.wait_for_timeout(300)
        assert page.evaluate("scrollY") > 4000
        assert violations(page) == {}
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_all_of_the_table_can_be_used_with_the_keyboard_under_its_header(page: Any) -> None:
    with served(FakeRole(links=links(40))) as url:
        page.goto(url)
        choice(page, "all 40").wait_for()
        page.evaluate("scrollTo(0, 0)")
        column(page, "availability").get_by_role("button").focus()
        for number in range(40):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.innerText") == f"worker-{number}"
            assert page.evaluate("document.activeElement.getBoundingClientRect().top") > 40
        page.keyboard.press("Tab")
        assert not re.match("worker", page.evaluate("document.activeElement.innerText"))


def test_a_role_without_streams_says_so(page: Any) -> None:
    with served(FakeRole(links=[])) as url:
        page.goto(url)
        page.get_by_text("No streams yet.").wait_for()
