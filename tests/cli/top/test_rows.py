"""Rows: several processes tell of the same workers."""

from __future__ import annotations

from typing import Any

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.cli.top.views import look_of, rows_in, rows_of, screen, snapshot_of

from randstream.cli.top.rows import SORTS, merge, sort_rows
from randstream.errors import Reason
from randstream.observe.status import LinkState, Standby


def a_group() -> list[FakeRole]:
    """Two producers and two of the workers that they share."""
    standing: dict[str, Any] = {"state": LinkState.STANDBY, "offset": 90, "acked_offset": 90}
    one = FakeRole(
        links=[
            FakeLink("worker-2", served_by="producer-0", offset=100, acked_offset=98),
            FakeLink("worker-10", served_by="producer-1", **standing),
        ]
    )
    other = FakeRole(
        name="producer-1",
        links=[
            FakeLink("worker-2", served_by="producer-0", **standing),
            FakeLink("worker-10", served_by="producer-1", offset=70, acked_offset=70),
        ],
    )
    unwatched = Standby("producer-2", "6ae2a63a0ac05109", 9.0)
    workers = [
        FakeRole("worker", "worker-2", links=[FakeLink("worker-2", served_by="producer-0", standbys=(unwatched,))]),
        FakeRole("worker", "worker-10", links=[FakeLink("worker-10", served_by="producer-1")]),
    ]
    return [*workers, one, other]


def test_several_processes_make_one_row_a_worker_that_says_who_serves_and_who_stands_by() -> None:
    for role in (group := a_group()):
        role.advance(6)
    text = screen(*group)
    first, second = rows_of(text)
    assert first[:11] == (
        ["●", "worker-2", "streaming", "producer-0", "2:", "producer-1,", "producer-2", "producer-0", "0.0", "106", "8"]
    )
    assert second[:8] == ["●", "worker-10", "streaming", "producer-1", "1:", "producer-0", "producer-1", "0.0"]
    assert "2 of 2 streams flow  0.0 numbers/s  24 in all" in text
    assert "randstream producer producer-0" in text
    assert "1 streaming, 1 standby" in text


def test_a_process_without_an_answer_is_shown_as_such_and_hides_no_other() -> None:
    text = screen(look_of(None), *a_group()[2:])
    assert text.startswith("127.0.0.1:1  no answer for ")
    assert "2 of 2 streams flow" in text


def test_a_worker_that_one_producer_cannot_reach_comes_before_those_that_all_reach() -> None:
    group = a_group()
    group[2].links[1].state, group[2].links[1].error = LinkState.WAITING, "timeout: silence"
    text = screen(*group)
    assert [row[1] for row in rows_of(text)] == ["worker-10", "worker-2"]
    assert "\n    producer-0: timeout: silence\n" in text


def test_a_producer_alone_that_stands_by_has_a_stream_that_flows() -> None:
    text = screen(FakeRole(links=[FakeLink(state=LinkState.STANDBY, served_by="producer-1")]))
    assert "1 of 1 streams flow" in text
    assert rows_of(text)[0][:6] == ["◇", "worker-0", "standby", "producer-1", "1:", "producer-0"]


def test_a_link_that_rests_is_no_worker_of_its_own() -> None:
    role = FakeRole(links=[FakeLink(), FakeLink(peer="10.0.0.2:9000", state=LinkState.RESTING)])
    text = screen(role)
    assert len(rows_of(text)) == 1
    assert "\n    10.0.0.2:9000 rests\n" in text
    assert all(row.is_well for row in rows_in([look_of(role)]))


def test_of_interruptions_the_most_that_any_process_counts_are_told() -> None:
    group = a_group()
    for role, times in zip(group, (1, 0, 2, 0), strict=True):
        now = role.clock.now()
        link = role.links[0].interruptions
        link.proved(now - 10.0, None)
        for number in range(times):
            link.lost(Reason.CUT, now - 9.0 + number)
            link.proved(now - 8.5 + number, None)
    first, second = rows_of(screen(*group))
    assert (first[-3:], second[-2:]) == (["2", "500.0", "ms"], ["0", "–"])


def test_a_link_that_is_not_well_says_why_and_for_how_long() -> None:
    link = FakeLink(state=LinkState.STALLED, error="long ago", reason="its sink takes no numbers", since=0.0)
    snapshot = snapshot_of(FakeRole(links=[link]))
    snapshot["links"][0]["since"] = snapshot["time"] - 90.0
    [row] = merge([snapshot])
    assert row.notes == [("producer-0", "its sink takes no numbers (for 90.0 s)")]
    assert not row.is_well
    snapshot["links"][0]["since"] = snapshot["time"] + 5.0  # by a clock that was set back meanwhile
    assert merge([snapshot])[0].notes == [("producer-0", "its sink takes no numbers (for 0 µs)")]


def test_an_older_process_gives_no_reason_and_the_error_is_told() -> None:
    [row] = merge([snapshot_of(FakeRole(links=[FakeLink(state=LinkState.WAITING, error="connection refused")]))])
    assert row.notes == [("producer-0", "connection refused")]


def test_a_process_that_no_longer_answers_tells_only_of_workers_that_no_other_knows() -> None:
    old = FakeRole(name="old", links=[FakeLink("worker-0", served_by="old"), FakeLink("worker-1", served_by="old")])
    new = FakeRole(name="new", links=[FakeLink("worker-0", served_by="new")])
    rows = {row.worker: row for row in merge([snapshot_of(new)], [snapshot_of(old)])}
    assert (rows["worker-0"].served_by, rows["worker-0"].state) == ("new", "streaming")
    assert (rows["worker-1"].process, rows["worker-1"].state) == ("old", "unknown")
    assert (rows["worker-0"].is_well, rows["worker-1"].is_well, rows["worker-1"].flows) == (True, False, False)


def test_the_filter_is_that_of_the_api() -> None:
    roles = FakeRole(links=[FakeLink("Alpha", "10.0.0.1:9000"), FakeLink("beta", "10.0.0.2:9000")])
    for name_filter, expected in (("alPHA", ["Alpha"]), ("0.2:", ["beta"]), ("x", []), ("", ["Alpha", "beta"])):
        assert [row.worker for row in merge([snapshot_of(roles)], (), name_filter)] == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("trouble", "w2 w1 w10"),
        ("name", "w1 w2 w10"),
        ("offset", "w10 w1 w2"),
        ("lag", "w1 w2 w10"),
        ("silence", "w2 w10 w1"),
    ],
)
def test_rows_are_sorted_by_trouble_by_name_or_the_largest_first(sort: str, expected: str) -> None:
    links = [
        FakeLink("w1", offset=50, acked_offset=10, silence=1.0),
        FakeLink("w10", offset=90, acked_offset=90, silence=2.0),
        FakeLink("w2", offset=5, acked_offset=5, silence=3.0, state=LinkState.WAITING),
    ]
    rows = rows_in([look_of(FakeRole(links=links))], sort=sort)
    assert " ".join(row.worker for row in rows) == expected


@pytest.mark.parametrize("sort", SORTS)
def test_every_sort_takes_what_is_unknown(sort: str) -> None:
    snapshot = snapshot_of(FakeRole(links=[FakeLink("a"), FakeLink(None, "b")]))
    for link in snapshot["links"]:
        link |= {"round_trip": None, "silence": None}
    assert [row.worker for row in sort_rows(merge([snapshot]), sort)] == ["a", "b"]
