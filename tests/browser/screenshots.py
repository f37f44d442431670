"""Takes the screenshots of the live page in docs/images: `make screenshots`.

They show staged roles, because what they show takes a quarter of an hour to happen.
"""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from tests.admin.roles import FakeInterruptions, FakeLink, FakeRole
from tests.browser.conftest import BROWSER_ARGUMENTS
from tests.browser.streams import served

from randstream.admin.server import AdminServer
from randstream.errors import Reason
from randstream.observe.interruptions import KEPT, Interruption, Pause
from randstream.observe.journal import Entry
from randstream.observe.status import LinkState

IMAGES = Path(__file__).parents[2] / "docs/images"
DESKTOP = {"width": 1180, "height": 900}
HISTORY_SECONDS = 125
"""How long the numbers of the river above take."""
UP_SECONDS = 9 * 3600.0
NOW = time.time() + HISTORY_SECONDS
"""When the pictures are taken."""


def main() -> None:
    """Stage three streams and a hundred, let them flow for two minutes, and take the screenshots."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    three, hundred, old = three_streams(), hundred_streams(), three_streams()
    with (
        sync_playwright() as p, flowing(three), flowing(hundred), flowing(old),
        served(three) as url, served(hundred) as wide, served(old, prepare=live_for_hours) as past,
    ):  # fmt: skip
        for role in three, hundred, old:
            role.clock.now = lambda: time.monotonic() + UP_SECONDS
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=BROWSER_ARGUMENTS)

        def opened(address: str, **options: Any) -> Any:
            options = {"locale": "en-US", "viewport": DESKTOP, "device_scale_factor": 1.25, **options}
            page = browser.new_page(**options)
            page.goto(address)
            return page

        pages = {
            "page-light": opened(url),
            "page-dark": opened(url, color_scheme="dark"),
            "page-phone": opened(url, viewport={"width": 360, "height": 1240}),
            "page-100-streams": opened(wide, viewport={"width": 1180, "height": 1200}, device_scale_factor=1),
        }
        stream = opened(f"{past}#/streams/worker-1", viewport={"width": 1180, "height": 1240})
        stream.locator("#charts .edge[d^=M]").first.wait_for()
        stream.screenshot(path=IMAGES / "page-stream.png")
        pages["page-light"].wait_for_timeout((HISTORY_SECONDS - 8) * 1000)
        lose(three.links[1], three)
        pages["page-light"].wait_for_timeout(8_000)
        pages["page-dark"].locator(".strip[tabindex]").first.focus()
        pages["page-dark"].keyboard.press("ArrowLeft")
        for name, page in pages.items():
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


def three_streams() -> FakeRole:
    """worker-1 has had a bad quarter of an hour, worker-2 none."""
    past = [
        [ago(388, 0.9, Reason.SHUTDOWN), ago(236, 14, Pause.STALLED)],
        [ago(812, 3.4, Reason.CUT, 0.002), ago(690, 31, Reason.TIMEOUT, 1.5), ago(402, 9.1, Pause.SILENCE)],
        [],
    ]
    links = [
        FakeLink(
            f"worker-{number}", f"10.0.0.{number + 11}:9000", interruptions=FakeInterruptions(those, contact=UP_SECONDS)
        )
        for number, those in enumerate(past)
    ]
    role = FakeRole(numbers="normal:0:1", links=links)
    links[0].reconnects, links[1].reconnects = 1, 2
    role.tally.reconnects = 3
    note(role, 393, "link.recovered", "worker-1", "the stream flows again")
    note(role, 387, "link.resumed", "worker-0", "at offset 1,283,904")
    note(role, 226, "link.stalled", "worker-0", "the sink makes no progress")
    note(role, 222, "link.recovered", "worker-0", "the stream flows again")
    return role


def live_for_hours(admin: AdminServer) -> None:
    """What the server has seen: a sink that gets slower each hour, and worker-1 away at each of its interruptions."""
    dice, role, now = random.Random(5), admin.role, admin.role.clock.now() + UP_SECONDS
    for seconds in range(-int(UP_SECONDS), 0, 5):
        admin.observer.tick(now + seconds)
        at = NOW - HISTORY_SECONDS + seconds
        for link in role.links:
            past = link.status(now, 0.0, KEPT).interruptions.last
            is_away = any(one.start < at < one.start + one.seconds for one in past)
            link.state = LinkState.WAITING if is_away else LinkState.STREAMING
            link.offset += 0 if is_away else dice.randint(190, 210)
            link.acked_offset = link.offset - dice.randint(20, 60)
            link.round_trip = dice.gammavariate(4, 0.0002 + 0.0002 * (seconds % 3600) / 3600)


def hundred_streams() -> FakeRole:
    """A node was drained seven minutes ago, and a few streams have troubles of their own."""
    dice = random.Random(18)
    links = []
    for number in range(100):
        those = []
        if number % 7 == 3:
            those.append(ago(dice.uniform(418, 424), dice.uniform(20, 45), Reason.TIMEOUT, 1.5))
        if dice.random() < 0.08:
            causes: list[Reason | Pause] = [Reason.CUT, Pause.SILENCE, Pause.STALLED, Reason.SHUTDOWN]
            those += [ago(dice.uniform(20, 390), dice.expovariate(0.2), cause) for cause in causes[dice.randrange(4) :]]
        those.sort(key=lambda one: one.start)
        interruptions = FakeInterruptions(those, contact=UP_SECONDS)
        link = FakeLink(f"worker-{number}", f"10.0.1.{number}:9000", interruptions=interruptions)
        link.reconnects = sum(isinstance(one.cause, Reason) for one in those)
        links.append(link)
    role = FakeRole(numbers="normal:0:1", links=links)
    role.tally.reconnects = sum(link.reconnects for link in links)
    ended = [(one, link.label[0]) for link in links for one in link.interruptions.last]
    for one, name in sorted(ended, key=lambda each: each[0].start + each[0].seconds):
        note(role, NOW - one.start - one.seconds, "link.resumed", name, f"after {one.seconds:.1f} s: {one.cause}")
    return role


def lose(link: FakeLink, role: FakeRole) -> None:
    """The worker dies."""
    link.state, link.reason, link.since, link.silence = LinkState.WAITING, "connection refused", time.time(), 8.1
    link.interruptions = FakeInterruptions(link.interruptions.last, (time.time(), Reason.CUT), UP_SECONDS)
    note(role, NOW - time.time(), "link.lost", link.label[0], "the peer ended the connection without a word")


def ago(seconds: float, length: float, cause: Reason | Pause, unnoticed: float | None = None) -> Interruption:
    """One that began so many seconds before the pictures are taken."""
    return Interruption(NOW - seconds, length, cause, unnoticed)


def note(role: FakeRole, seconds: float, event: str, link: str, detail: str) -> None:
    """An event so many seconds before the pictures are taken."""
    role.journal.entries.append(Entry(NOW - seconds, event, link, detail))


@contextmanager
def flowing(role: FakeRole) -> Iterator[None]:
    """Numbers flow over the links that stream, 40 a second over each."""
    done, dice = threading.Event(), random.Random(7)
    started, flowed = time.monotonic(), 0
    for link in role.links:
        link.offset = link.acked_offset = 1_296_000

    def flow() -> None:
        nonlocal flowed
        while not done.wait(0.025):
            count = int(40 * (time.monotonic() - started)) - flowed
            flowed += count
            links = [link for link in role.links if link.state is LinkState.STREAMING]
            for link in links:
                link.offset = link.acked_offset = link.offset + count
                link.passed = [dice.gauss(0, 1) for _ in range(40)]
            role.tally.numbers = role.tally.acked_numbers = role.tally.numbers + count * len(links)
            role.tally.number_bytes += 20 * count * len(links)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
