"""Rows: several processes tell of the same workers."""

from __future__ import annotations

from typing import Any

from tests.admin.roles import FakeLink, FakeRole
from tests.cli.top.views import rows_of, screen, view_of

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
    assert first[:10] == (
        ["●", "worker-2", "streaming", "producer-0", "2:", "producer-1,", "producer-2", "0.0", "106", "8"]
    )
    assert second[:7] == ["●", "worker-10", "streaming", "producer-1", "1:", "producer-0", "0.0"]
    assert "2 of 2 streams flow  0.0 numbers/s  24 in all" in text
    assert "randstream producer producer-0" in text
    assert "1 streaming, 1 standby" in text


def test_a_process_without_an_answer_is_shown_as_such_and_hides_no_other() -> None:
    text = screen(view_of(None), *a_group()[2:])
    assert text.startswith("no answer from http://127.0.0.1:1: ")
    assert "2 of 2 streams flow" in text


def test_a_worker_that_one_producer_cannot_reach_comes_before_those_that_all_reach() -> None:
    group = a_group()
    group[2].links[1].state, group[2].links[1].error = LinkState.WAITING, "timeout: silence"
    text = screen(*group)
    assert [row[1] for row in rows_of(text)] == ["worker-10", "worker-2"]
    assert "\nworker-10: producer-0: timeout: silence\n" in text
    assert len(rows_of(screen(*group, rows=2))) == 1
    assert "and 1 more" in screen(*group, rows=2)


def test_a_producer_alone_that_stands_by_has_a_stream_that_flows() -> None:
    text = screen(FakeRole(links=[FakeLink(state=LinkState.STANDBY, served_by="producer-1")]))
    assert "1 of 1 streams flow" in text
    assert rows_of(text)[0][:6] == ["◇", "worker-0", "standby", "producer-1", "1:", "producer-0"]


def test_a_link_that_rests_is_no_worker_of_its_own() -> None:
    role = FakeRole(links=[FakeLink(), FakeLink(peer="10.0.0.2:9000", state=LinkState.RESTING)])
    text = screen(role)
    assert len(rows_of(text)) == 1
    assert "\nworker-0: 10.0.0.2:9000 rests\n" in text


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
