from __future__ import annotations

import json

import pytest
from tests.admin.roles import FakeLink, FakeRole

from randstream.admin.observer import HISTORY_TICKS, RATE_TICKS, Observer, to_json
from randstream.observe.status import LinkState


def observed(role: FakeRole, seconds: int, numbers_a_second: int) -> Observer:
    """An observer that has looked for so long. Its last look is in the past, as the real one's is."""
    observer = Observer(role)
    for second in range(-seconds, 1):
        observer.tick(float(second))
        role.advance(numbers_a_second)
    return observer


def test_what_flowed_in_each_second_is_remembered_for_two_minutes() -> None:
    observer = observed(FakeRole(links=[FakeLink(), FakeLink("worker-1")]), HISTORY_TICKS + 9, 7)
    assert observer.snapshot(limit=10).history == [14.0] * HISTORY_TICKS


def test_a_rate_is_the_mean_of_the_last_seconds() -> None:
    role = FakeRole()
    observer = observed(role, 60, 50)
    role.clock.now = lambda: 1.0
    snapshot = observer.snapshot(limit=10)
    assert snapshot.links[0].rate == pytest.approx(50)
    assert snapshot.totals.rate == pytest.approx(50)
    for second in range(1, RATE_TICKS + 2):
        observer.tick(float(second))
    assert observer.snapshot(limit=10).links[0].rate == 0


def test_a_link_that_goes_back_to_an_acknowledged_offset_has_no_rate_below_zero() -> None:
    role = FakeRole()
    observer = observed(role, 3, 50)
    role.links[0].offset = 0
    assert observer.snapshot(limit=1).links[0].rate == 0


def test_a_link_that_first_resumes_far_on_has_not_passed_all_that_lies_before() -> None:
    link = FakeLink(state=LinkState.WAITING)
    role = FakeRole(links=[link])
    observer = observed(role, 3, 0)
    link.state, link.offset = LinkState.STREAMING, 1_000_000
    assert observer.snapshot(limit=1).links[0].rate == 0
    observer.tick(1.0)
    role.advance(50)
    role.clock.now = lambda: 2.0
    assert observer.snapshot(limit=1).links[0].rate == pytest.approx(50)


def test_links_that_come_and_go_between_two_looks_are_no_surprise() -> None:
    role = FakeRole()
    observer = observed(role, 3, 50)
    role.links[:] = [FakeLink("worker-9", offset=1000)]
    assert observer.snapshot(limit=1).links[0].rate == 0
    observer.tick(1.0)
    role.links.clear()
    assert observer.snapshot(limit=1).links == []


def test_trouble_comes_first_and_the_rest_is_counted() -> None:
    links = [FakeLink(f"worker-{number}") for number in range(50)]
    links[40].state = LinkState.WAITING
    links[45].state = LinkState.STALLED
    snapshot = Observer(FakeRole(links=links)).snapshot(limit=3)
    assert [link.worker for link in snapshot.links] == ["worker-45", "worker-40", "worker-0"]
    assert snapshot.left_out == 47
    assert snapshot.totals.links == 50
    assert snapshot.totals.states == {"streaming": 48, "waiting": 1, "stalled": 1}


def test_a_filter_finds_workers_and_peers_whatever_their_case() -> None:
    links = [FakeLink("Alpha", "10.0.0.1:9000"), FakeLink(None, "beta:9000"), FakeLink("gamma", "10.0.0.3:9000")]
    observer = Observer(FakeRole(links=links))
    for name, found in (("alpha", 1), ("BETA", 1), ("10.0", 2), ("nobody", 0), ("", 3)):
        snapshot = observer.snapshot(limit=10, name_filter=name)
        assert (len(snapshot.links), snapshot.left_out) == (found, 0)


def test_the_histogram_counts_what_passed_and_forgets_another_distribution() -> None:
    role = FakeRole(links=[FakeLink(passed=[1.0, 2.0, 100.0])])
    observer = observed(role, 2, 3)
    histogram = observer.snapshot(limit=0).histogram
    assert histogram is not None
    assert histogram.counts[0] == 4
    assert histogram.counts[-1] == 2
    role.numbers = "normal:0:1"
    observer.tick(1.0)
    histogram = observer.snapshot(limit=0).histogram
    assert histogram is not None
    assert sum(histogram.counts) == 3
    role.numbers = None
    observer.tick(2.0)
    assert observer.snapshot(limit=0).histogram is None


def test_however_many_links_there_are_few_are_sampled() -> None:
    asked: list[int] = []

    class Counting(FakeLink):
        def recent_numbers(self, since: int, count: int) -> list[float]:
            asked.append(count)
            return []

    observed(FakeRole(links=[Counting(f"worker-{number}") for number in range(1000)]), 1, 1)
    assert len(asked) <= 64
    assert sum(asked) <= 1600


def test_the_json_has_the_fields_of_the_dataclass() -> None:
    snapshot = Observer(FakeRole()).snapshot(limit=1)
    found = json.loads(to_json(snapshot))
    assert list(found) == list(snapshot.__dataclass_fields__)
    assert found["links"][0]["state"] == "streaming"
