"""The live page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.browser.streams import Streams, served

from randstream.admin import events
from randstream.observe.status import LinkState, Standby

pytestmark = pytest.mark.browser
STREAM = "6ae2a63a0ac05109"
ROWS = "#streams tbody"


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streams]:
    running = Streams(Path(tmp_path_factory.mktemp("store")))
    yield running
    running.end()


def row(page: Any, name: str) -> Any:
    return page.locator(ROWS, has_text=name)


def offset(page: Any, name: str) -> int:
    text: str = row(page, name).locator("td").nth(2).inner_text()
    return int(text.replace(",", ""))


def wait_headline(page: Any, text: str | re.Pattern[str]) -> None:
    page.get_by_role("heading", name=text, exact=True).wait_for(timeout=15_000)


def test_three_streams_move(page: Any, streams: Streams) -> None:
    page.goto(streams.url)
    wait_headline(page, "All 3 streams flow")
    before = [offset(page, f"worker-{number}") for number in range(3)]
    page.wait_for_function(
        "before => [...document.querySelectorAll('#streams tbody')]"
        ".every(row => Number(row.rows[0].cells[2].innerText.replaceAll(',', '')) > before + 40)",
        arg=max(before),
    )
    assert page.locator("#pulse").inner_text() == "live"
    assert page.locator("#shape rect").count() == 25
    assert row(page, "worker-0").locator(".spark path").get_attribute("d")


def test_a_killed_worker_turns_red_and_heals(page: Any, streams: Streams) -> None:
    page.goto(streams.url)
    wait_headline(page, "All 3 streams flow")
    streams.kill(1)
    wait_headline(page, re.compile(r"worker-1 has been unreachable for \d+ s: connection refused", re.IGNORECASE))
    assert page.locator("#sub").inner_text() == "2 of 3 streams flow · 1 down"
    lost = row(page, "worker-1")
    assert lost.get_attribute("class") == "down"
    red = page.evaluate("getComputedStyle(document.querySelector('tbody.down .state')).color")
    assert red == "rgb(189, 58, 44)"
    assert "worker-1" in page.locator(ROWS).first.inner_text()  # trouble comes first
    assert page.title() == "1 not flowing · randstream"
    streams.restart(1)
    wait_headline(page, "All 3 streams flow")
    assert row(page, "worker-1").get_attribute("class") == "streaming"
    # With the first ack, up to a heartbeat later.
    row(page, "worker-1").locator("td[data-label=reconnects]").get_by_text("1", exact=True).wait_for()
    events = page.locator("#events li")
    assert "worker-1 resumed" in events.nth(0).inner_text()
    assert "worker-1 lost" in events.nth(1).inner_text()


def test_a_thousand_streams_show_the_one_in_trouble_and_the_filter_finds_the_others(page: Any) -> None:
    links = [FakeLink(f"worker-{number}", f"10.0.0.{number}:9000") for number in range(1000)]
    links[700].state = LinkState.STALLED
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        wait_headline(page, "worker-700 is stalled")
        assert page.locator("#sub").inner_text() == "999 of 1,000 streams flow · 1 stalled"
        assert "worker-700" in page.locator(ROWS).first.inner_text()
        assert page.locator("#field i").count() == 1000
        assert page.locator("#field i.stalled").count() == 1
        page.keyboard.press("/")
        page.keyboard.type("worker-99")
        page.wait_for_function("() => document.querySelectorAll('#streams .name a').length === 11")
        page.keyboard.press("Escape")
        page.wait_for_function("() => document.querySelector('#streams .name a').innerText === 'worker-700'")
        assert page.locator("#filter").input_value() == ""
        page.fill("#filter", "nobody")
        page.get_by_text("No stream is called “nobody”.").wait_for()


def test_a_stream_beyond_the_first_thousand_can_be_found(page: Any) -> None:
    with served(
        FakeRole(links=[FakeLink(f"worker-{number}", f"10.0.0.{number}:9000") for number in range(1200)])
    ) as url:
        page.goto(url)
        wait_headline(page, "All 1,200 streams flow")
        page.get_by_text("1,000 of 1,200 streams are shown").wait_for()
        page.fill("#filter", "worker-1150")
        row(page, "worker-1150").wait_for()


def test_a_producer_that_only_stands_by_is_well(page: Any) -> None:
    links = [FakeLink(f"worker-{number}", f"b:{number}", served_by="producer-0") for number in range(3)]
    for link in links[1:]:
        link.state, link.served_by = LinkState.STANDBY, "producer-1"
    with served(FakeRole(links=links)) as url:
        page.goto(url)
        wait_headline(page, "3 streams: 1 served here, 2 standing by")
        assert page.locator("#sub").inner_text() == "all is well"
        assert page.title() == "3 streams · randstream"
        waits = row(page, "worker-1")
        assert waits.get_attribute("class") == "standby"
        assert waits.locator(".state").inner_text() == "standby"
        assert waits.locator(".why").inner_text().strip() == "producer-1 serves"
        links[0].state = LinkState.STANDBY
        wait_headline(page, "3 streams: 0 served here, 3 standing by")
        links[2].error = links[2].reason = "producer-1 serves another stream"
        wait_headline(page, "worker-2: producer-1 serves another stream")
        assert page.locator("#headline").get_attribute("class") == "stalled"
        assert page.locator("#sub").inner_text() == "3 streams: 0 served here, 3 standing by"
        page.locator("tbody.standby .why.warn", has_text="serves another stream").wait_for()
        links[1].error = links[1].reason = "producer-1 serves another stream"
        asked = "do all producers have the same seed and numbers?"
        wait_headline(page, f"2 workers are served a stream other than this producer's: {asked}")
        assert page.locator("#line").is_hidden()


def test_a_worker_says_who_serves_since_when_and_who_waits(page: Any) -> None:
    standbys = Standby("producer-0", STREAM, 4000.0), Standby("producer-2", "0123456789abcdef", 2.0)
    link = FakeLink("worker-0", "producer-1", served_by="producer-1", served_for=200.0, standbys=standbys)
    role = FakeRole("worker", "worker-0", links=[link], warning="several producers are named producer-0")
    with served(role) as url:
        page.goto(url)
        wait_headline(page, "several producers are named producer-0")
        assert page.locator("#headline").get_attribute("class") == "stalled"
        assert page.locator("#sub").inner_text() == "The stream flows"
        assert page.locator("#members li").all_inner_texts() == [
            "producer-1\nserving for 3 min",
            "producer-0\nwaiting for 67 min",
            "producer-2\nanother stream, waiting for 2.0 s",
        ]
        link.state, link.served_by, link.served_for, link.standbys = LinkState.WAITING, None, None, ()
        wait_headline(page, "worker-0 is without a producer")
        assert page.locator("#sub").inner_text().startswith("The stream does not flow · ")
        page.locator("#line").wait_for(state="hidden")


def test_names_are_text_whatever_they_hold(page: Any) -> None:
    name = "<img src=x onerror=\"document.title='taken'\"><b>"
    role = FakeRole(links=[FakeLink(name)], name=name, problem=name)
    role.journal.note("link.lost", name, name)
    with served(role) as url:
        page.goto(url)
        row(page, name).wait_for()
        assert page.locator("img").count() == 0
        assert page.title() != "taken"
        assert name in page.locator("#events").inner_text()


def test_the_page_says_that_it_is_stale_and_comes_back_by_itself(page: Any) -> None:
    role = FakeRole()
    with served(role) as url:
        page.goto(url)
        wait_headline(page, "The stream flows")
        port = int(url.rstrip("/").rpartition(":")[2])
    wait_headline(page, re.compile(r"No word from producer-0 for \d+ s"))
    page.get_by_text("stale, trying again").wait_for()
    with served(role, port):
        page.get_by_text("live", exact=True).wait_for()
        wait_headline(page, "The stream flows")


def test_a_page_too_many_says_why_it_shows_nothing_and_comes_by_itself(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "WATCHERS", 1)
    with served(FakeRole()) as url:
        with urlopen(f"{url}events") as watcher:
            watcher.readline()
            page.goto(url)
            wait_headline(page, "Nothing to show")
            page.get_by_text("1 pages are open already; close one").wait_for()
        wait_headline(page, "The stream flows")
        assert page.locator("#sub").inner_text() == "all is well"


def test_a_worker_has_a_page_too(page: Any) -> None:
    with served(FakeRole("worker", "worker-0", links=[FakeLink("worker-0", "producer-0")])) as url:
        page.goto(url)
        wait_headline(page, "The stream flows")
        page.get_by_text("received", exact=True).wait_for()
        page.get_by_role("columnheader", name="last beat").wait_for()


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1920])
def test_the_page_fits_whatever_the_width(page: Any, width: int) -> None:
    links = [
        FakeLink(f"worker-{number}.randstream.svc.cluster.local", f"b:{number}", offset=10**12) for number in range(3)
    ]
    links[1].state = LinkState.WAITING
    with served(FakeRole(links=links)) as url:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(url)
        wait_headline(page, re.compile("worker-1.* is connecting"))
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 1280])
def test_a_workers_line_fits_whatever_the_width(page: Any, width: int) -> None:
    name = "producer-7b9f6c5d8-x2v4q.randstream.svc.cluster.local"
    standbys = tuple(Standby(name, stream, 9.0) for stream in (STREAM, "0123456789abcdef") * 7)
    link = FakeLink("worker-0", name, served_by=name, served_for=1.0, standbys=standbys)
    with served(FakeRole("worker", "worker-0", links=[link])) as url:
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(url)
        page.wait_for_function("() => document.querySelectorAll('#members li').length === 15")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
