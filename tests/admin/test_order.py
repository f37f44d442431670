"""Order: which links come first, whatever they are sorted by."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.admin.roles import FakeInterruptions, FakeLink, FakeRole
from tests.admin.site import site_of

from randstream.admin.observer import Observer
from randstream.admin.order import FIGURES, is_sort
from randstream.errors import Reason
from randstream.observe.interruptions import Interruption
from randstream.observe.status import LinkState

LIVE = Path(__file__).parents[2] / "src/randstream/admin/live"


def names(role: FakeRole, sort: str, limit: int = 10, observer: Observer | None = None) -> list[str]:
    snapshot = (observer or Observer(role)).snapshot(limit=limit, sort=sort)
    return [link.worker or link.peer or "" for link in snapshot.links]


def three(**figures: tuple[object, object, object]) -> FakeRole:
    """worker-0 to worker-2, with a value each."""
    links = [FakeLink(f"worker-{number}") for number in range(3)]
    for name, values in figures.items():
        for link, value in zip(links, values, strict=True):
            setattr(link, name, value)
    return FakeRole(links=links)


@pytest.mark.parametrize(
    ("sort", "role"),
    [
        ("offset", three(offset=(5, 9, 7))),
        ("lag", three(offset=(9, 9, 9), acked_offset=(8, 2, 5))),
        ("round-trip", three(round_trip=(0.1, 0.3, 0.2))),
        ("silence", three(silence=(1.0, 9.0, 4.0))),
        ("reconnects", three(reconnects=(0, 2, 1))),
    ],
)
def test_the_highest_come_first_and_last_the_other_way_round(sort: str, role: FakeRole) -> None:
    assert names(role, sort) == ["worker-1", "worker-2", "worker-0"]
    assert names(role, f"-{sort}") == ["worker-0", "worker-2", "worker-1"]
    assert names(role, sort, limit=1) == ["worker-1"]


@pytest.mark.parametrize("sort", ["interrupted", "longest", "total", "-availability"])
def test_interruptions_count_as_they_are_shown(sort: str) -> None:
    role = three()
    for link, lengths in zip(role.links, ([1], [5, 6], [2, 3]), strict=True):
        link.interruptions = FakeInterruptions(Interruption(0.0, each, Reason.CUT, None) for each in lengths)
    assert names(role, sort)[0] == "worker-1"


def test_what_is_not_true_now_comes_last_either_way() -> None:
    role = three(round_trip=(0.1, 0.3, None), state=(LinkState.STREAMING, LinkState.WAITING, LinkState.STREAMING))
    for sort in ("round-trip", "-round-trip"):
        assert names(role, sort) == ["worker-0", "worker-1", "worker-2"]
    observer = Observer(role)
    observer.tick(0.0)
    role.links[1].offset = role.links[2].offset = 100  # worker-1 went down while its numbers flowed
    observer.tick(1.0)
    assert names(role, "rate", observer=observer) == ["worker-2", "worker-0", "worker-1"]
    assert names(role, "-rate", observer=observer) == ["worker-0", "worker-2", "worker-1"]


def test_numbers_in_names_count_by_their_value_and_so_do_those_of_peers() -> None:
    links = [FakeLink(name, peer) for name, peer in (("worker-10", "b"), ("worker-9", "a"), (None, "tcp-7"))]
    assert names(FakeRole(links=links), "name") == ["tcp-7", "worker-9", "worker-10"]
    assert names(FakeRole(links=links), "-name") == ["worker-10", "worker-9", "tcp-7"]
    long = FakeRole(links=[FakeLink("9" * 5000), FakeLink("x")])
    assert names(long, "name") == ["9" * 5000, "x"]


def test_equal_ones_go_by_name_either_way() -> None:
    role = three(offset=(7, 7, 8))
    assert names(role, "offset") == ["worker-2", "worker-0", "worker-1"]
    assert names(role, "-offset") == ["worker-0", "worker-1", "worker-2"]


@pytest.mark.parametrize("sort", ["", "-", "--rate", "-trouble", "Rate", "rate-", "speed"])
def test_what_is_no_sort(sort: str) -> None:
    assert not is_sort(sort)


async def test_links_can_be_sorted_and_chosen_by_state_over_http() -> None:
    role = three(offset=(5, 9, 7), state=(LinkState.WAITING, LinkState.STREAMING, LinkState.STALLED))
    async with site_of(role) as site:
        for query, found in (
            ("state=waiting,stalled&sort=-offset", ["worker-0", "worker-2"]),
            ("state=&sort=", ["worker-2", "worker-0", "worker-1"]),
            ("sort=trouble&limit=1", ["worker-2"]),
            ("state=dialling", []),
        ):
            _, body = await site.get(f"/api/links?{query}")
            told = json.loads(body)
            assert [link["worker"] for link in told["links"]] == found
            assert told["totals"]["links"] == 3  # of all, whatever is chosen
        for query, message in (
            ("sort=speed", "sort=speed is not one of"),
            ("state=down", "state=down is not among"),
            (f"sort={quote('x' * 5000)}", "sort=xxx"),
        ):
            status, text = await site.get(f"/api/links?{query}")
            assert (status, message in text) == (400, True)


def test_the_page_sorts_by_the_same_figures() -> None:
    view = (LIVE / "view.js").read_text("utf-8")
    known = re.search(r"const FIGURES = \{(.*?)\n\};", view, re.DOTALL)
    assert known is not None
    on_page = {name.strip('"') for name in re.findall(r'([a-z]+|"[a-z-]+"): (?:link|\(\{)', known[1])}
    columns = set(re.findall(r'data-sort="([a-z-]+)"', (LIVE / "page.html").read_text("utf-8")))
    assert columns == on_page | {"name"}
    assert on_page == set(FIGURES) - {"lag"}
