"""The headline of the live page: what is wrong, where, since when and why."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.browser.accessibility import violations
from tests.browser.streams import served

from randstream.observe.status import LinkState

pytestmark = pytest.mark.browser


def streams(count: int = 3) -> list[FakeLink]:
    return [FakeLink(f"worker-{number}", f"10.0.0.{number}:9000") for number in range(count)]


def trouble(link: FakeLink, state: LinkState, seconds: float, reason: str) -> None:
    """It has not been well for so long."""
    link.state, link.reason, link.since, link.offset = state, reason, time.time() - seconds, 1500


def heading(page: Any, text: str) -> Any:
    found = page.get_by_role("heading", level=1, name=re.compile(f"^{text}$"))
    found.wait_for(timeout=15_000)
    return found


def icon(page: Any) -> str:
    """Its shape and how it is painted."""
    href: str = page.locator("link[rel=icon]").get_attribute("href")
    return href


def test_it_names_the_stream_that_is_down_since_when_and_why_and_its_row_says_more(page: Any) -> None:
    links = streams()
    trouble(links[2], LinkState.WAITING, 12, "no route to host")
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        headline = heading(page, r"worker-2 has been unreachable for 1\d s: no route to host")
        assert headline.get_attribute("class") == "down"
        assert page.locator("#sub").inner_text() == "2 of 3 streams flow · 1 down"
        row = page.locator("#streams tbody").first
        assert re.fullmatch(
            r"10\.0\.0\.2:9000 · no route to host · since \S+ · 1,500 numbers not acknowledged",
            row.locator(".why").inner_text().strip(),
        )
        assert row.locator(".state").inner_text() == "unreachable"
        assert row.locator("td").nth(1).inner_text().strip() == "–"  # the rate
        assert row.locator("td[data-label=trip]").inner_text() == "–"
        assert row.locator("td[data-label=heard]").inner_text() == "500 ms ago"


def test_a_row_says_at_once_that_nothing_comes_over_a_connection_that_lives(page: Any) -> None:
    links = streams()
    trouble(links[0], LinkState.STREAMING, 2, "the connection lives, but nothing comes")
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        page.locator("#streams .why", has_text="the connection lives, but nothing comes · since").wait_for()


def test_of_several_it_names_one_that_is_down_and_longest_so(page: Any) -> None:
    links = streams(5)
    trouble(links[1], LinkState.STALLED, 900, "disk full")
    trouble(links[2], LinkState.DIALLING, 20, "connection refused")
    trouble(links[3], LinkState.OPENING, 40, "no route to host")
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        heading(page, r"worker-3 has been unreachable for 4\d s: no route to host; 2 more do not flow")
        assert page.locator("#sub").inner_text() == "2 of 5 streams flow · 2 down · 1 stalled"


def test_those_that_are_down_for_one_reason_are_one_finding(page: Any) -> None:
    links = streams(5)
    for number, link in enumerate(links[:2]):
        trouble(link, LinkState.WAITING, 200 + number, "connection refused")
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        heading(page, r"worker-1 and 1 more have been unreachable for 3 min \d+ s: connection refused")
        for link in links[2:]:
            trouble(link, LinkState.WAITING, 90, "connection refused")
        heading(page, r"All 5 streams have been unreachable for 3 min \d+ s: connection refused")
        assert page.locator("#sub").inner_text() == "None of 5 streams flows · 5 down"
        assert page.get_by_role("status").inner_text() == "All 5 streams are unreachable: connection refused"
        trouble(links[4], LinkState.WAITING, 90, "no route to host")
        heading(page, r"worker-1 has been unreachable for 3 min \d+ s: connection refused; 4 more do not flow")


def test_each_kind_of_finding_has_a_shape_and_an_icon_of_its_own(page: Any) -> None:
    links = streams()
    seen = set()
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        for state, text in (
            (LinkState.STREAMING, "All 3 streams flow"),
            (LinkState.STALLED, r"worker-0 has been stalled for \d+ s: disk full"),
            (LinkState.WAITING, r"worker-0 has been unreachable for \d+ s: disk full"),
        ):
            if state is not LinkState.STREAMING:
                trouble(links[0], state, 8, "disk full")
            heading(page, text)
            seen.add((page.locator("#headline").get_attribute("class"), icon(page)))
    heading(page, r"No word from producer-0 for \d+ s")
    seen.add((page.locator("#headline").get_attribute("class"), icon(page)))
    kinds, icons = zip(*seen, strict=True)
    assert set(kinds) == {"streaming", "stalled", "down", "silent"}
    assert len({re.sub("%23[0-9a-f]{6}", "", each) for each in icons}) == 4  # without their colours


def test_a_role_that_is_not_ready_says_why(page: Any) -> None:
    role = FakeRole(problem="workers.example: no such name")
    with served(role) as url:
        page.goto(url)
        heading(page, "Not ready: workers.example: no such name")
        assert page.locator("#sub").inner_text() == "The stream flows"
        trouble(role.links[0], LinkState.WAITING, 8, "no such name")
        heading(page, r"worker-0 has been unreachable for \d+ s: no such name")
        assert "not ready: workers.example: no such name" in page.locator("#sub").inner_text()


def test_a_process_that_has_gone_is_missed_for_ever_longer(page: Any) -> None:
    with served(FakeRole()) as url:
        page.goto(url)
        heading(page, "The stream flows")
        assert page.locator("#rate-label").inner_text() == "now"
    first = int(re.findall(r"\d+", heading(page, r"No word from producer-0 for \d+ s").inner_text())[-1])
    page.wait_for_function(
        "first => Number(document.querySelector('#finding').innerText.match(/for (\\d+)\\ss/)[1]) > first + 1",
        arg=first,
    )
    assert page.title() == "no word from producer-0 · randstream"
    assert re.fullmatch(r"everything below is as it was at \S+", page.locator("#sub").inner_text())
    assert page.locator("#rate-label").inner_text() != "now"


def test_a_process_that_never_answers_is_missed_too(page: Any) -> None:
    with served(FakeRole()) as url:
        page.route("**/events", lambda route: None)
        page.goto(url)
        heading(page, r"No word from 127\.0\.0\.1:\d+ for \d+ s")


def test_a_screen_reader_hears_the_finding_once_and_not_every_second(page: Any) -> None:
    links = streams()
    trouble(links[2], LinkState.WAITING, 12, "no route to host")
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        heading(page, "worker-2 has been unreachable for .*")
        assert page.get_by_role("status").inner_text() == "worker-2 is unreachable: no route to host"
        assert page.locator("[aria-live]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_whatever_the_finding(page: Any, scheme: str) -> None:
    links = streams()
    role = FakeRole(links=links)
    for event in ("link.lost", "link.stalled", "link.resumed"):
        role.journal.note(event, "worker-0", "and why")
    page.emulate_media(color_scheme=scheme)
    with served(role) as url:
        page.goto(url)
        heading(page, "All 3 streams flow")
        assert violations(page) == {}
        trouble(links[0], LinkState.WAITING, 8, "connection refused")
        heading(page, "worker-0 has been unreachable for .*")
        assert violations(page) == {}
        trouble(links[0], LinkState.STALLED, 8, "disk full")
        heading(page, "worker-0 has been stalled for .*")
        assert violations(page) == {}
        for link in links:
            trouble(link, LinkState.WAITING, 8, "connection refused")
        heading(page, "All 3 streams have been unreachable for .*: connection refused")
        assert violations(page) == {}
    heading(page, "No word from producer-0 for .*")
    assert violations(page) == {}


@pytest.mark.parametrize(("height", "down"), [(844, 0), (844, 3), (1600, 1)])
def test_nothing_shifts_while_the_page_loads_on_a_phone(page: Any, height: int, down: int) -> None:
    links = streams()
    for link in links[:down]:
        trouble(link, LinkState.WAITING, 8, "connection refused")
    page.set_viewport_size({"width": 390, "height": height})
    page.add_init_script(
        "window.shift = 0; const add = list => list.getEntries().forEach(entry => { shift += entry.value; });"
        "new PerformanceObserver(add).observe({type: 'layout-shift', buffered: true})"
    )
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        page.locator(".strip[role]").first.wait_for()
        page.wait_for_function("() => document.querySelector('#rate').innerText !== '–'")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("shift") < 0.03
