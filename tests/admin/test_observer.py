"""Observer: rates, shapes and what it shows of many links. Nothing that a peer sends makes it raise.

It runs beside the role: an exception of its own would end the worker.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.admin.roles import FakeInterruptions, FakeLink, FakeRole
from tests.protocol.network import repeatable
from tests.support.roles import a_pair
from tests.support.waiting import until

from randstream.admin.observer import HISTORY_TICKS, RATE_TICKS, Observer, to_json
from randstream.observe.status import LinkState
from randstream.protocol.frames import Open, encode, parse_control_line
from randstream.protocol.receiver import Receiver
from randstream.settings.roles import WorkerSettings
from randstream.worker.worker import Worker


def observed(role: FakeRole, seconds: int, numbers_a_second: int) -> Observer:
    """An observer that has ticked for `seconds` up to 0, with the role's numbers in between."""
    observer = Observer(role)
    for second in range(-seconds, 1):
        observer.tick(float(second))
        role.advance(numbers_a_second)
    return observer


def test_the_history_has_the_rate_of_each_second_of_two_minutes() -> None:
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


def test_the_rate_of_a_link_that_goes_back_to_an_acknowledged_offset_is_not_negative() -> None:
    role = FakeRole()
    observer = observed(role, 3, 50)
    role.links[0].offset = 0
    assert observer.snapshot(limit=1).links[0].rate == 0


def test_the_first_offset_of_a_link_does_not_count_towards_its_rate() -> None:
    link = FakeLink(state=LinkState.WAITING)
    role = FakeRole(links=[link])
    observer = observed(role, 3, 0)
    link.state, link.offset = LinkState.STREAMING, 1_000_000
    assert observer.snapshot(limit=1).links[0].rate == 0
    observer.tick(1.0)
    role.advance(50)
    role.clock.now = lambda: 2.0
    assert observer.snapshot(limit=1).links[0].rate == pytest.approx(50)


def test_links_may_appear_and_disappear_between_two_ticks() -> None:
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


def test_of_those_that_flow_the_most_interrupted_come_first() -> None:
    links = [FakeLink(f"worker-{number}", interruptions=FakeInterruptions(forgotten=number % 3)) for number in range(4)]
    links[0].state = LinkState.STALLED
    snapshot = Observer(FakeRole(links=links)).snapshot(limit=3)
    assert [link.worker for link in snapshot.links] == ["worker-0", "worker-2", "worker-1"]


def test_links_that_stand_by_come_after_trouble_and_before_what_flows() -> None:
    states = [LinkState.STREAMING, LinkState.STANDBY, LinkState.RESTING, LinkState.WAITING]
    links = [FakeLink(f"worker-{number}", state=state) for number, state in enumerate(states)]
    snapshot = Observer(FakeRole(links=links)).snapshot(limit=4)
    assert [link.state for link in snapshot.links] == states[::-1]


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


async def test_the_histogram_samples_the_numbers_that_flow() -> None:
    async with a_pair(discard=True) as (producer, worker):
        observers = Observer(producer), Observer(worker)
        offset = worker.intake.offset
        for observer in observers:
            observer.tick(0.0)
        await until(lambda: worker.intake.offset > offset + 100)
        for observer in observers:
            observer.tick(1.0)
            histogram = observer.snapshot(limit=0).histogram
            assert histogram is not None
            assert sum(histogram.counts) > 50
            assert (histogram.edges[0], histogram.edges[-1]) == (1, 101)


KINDS = st.sampled_from(
    ["integers", "bits64", "bernoulli", "poisson", "uniform", "exponential", "normal", "oftomorrow"]
)
PARAMETERS = st.one_of(
    st.floats().map(repr), st.integers().map(str), st.from_regex(r"[0-9.e+-]{1,40}", fullmatch=True)
).filter(lambda text: set(text) <= set("0123456789.e+-"))
OFFERS = st.tuples(KINDS, st.lists(PARAMETERS, max_size=3)).map(lambda offer: ":".join([offer[0], *offer[1]]))
RUNS = st.from_regex(rb"(?:[0-9-][0-9.e+-]{0,62}\n){1,8}", fullmatch=True)


def look(numbers: str, run: bytes) -> dict[str, Any]:
    """What an observer shows of a worker that was offered `numbers` and then got `run`."""
    offered = parse_control_line(encode(Open("worker-0", "6ae2a63a0ac05109", numbers, "producer-0", 1.0))[:-1])
    assert isinstance(offered, Open)
    worker = Worker(WorkerSettings(name="worker-0", discard=True))
    observer = Observer(worker)
    worker.line.served = offered
    worker.intake.set_opening(worker.intake.report)
    worker.intake.set_streaming(0, 0.0, "start", Receiver("worker-0", now=0.0))
    for second in range(3):
        worker.intake.note_numbers(run, run.count(b"\n"))
        observer.tick(float(second))
    snapshot: dict[str, Any] = json.loads(to_json(observer.snapshot(limit=1)))
    return snapshot


@repeatable(200)
@given(numbers=OFFERS, run=RUNS)
@example("integers:1:100", b"1-2\n")
@example("bits64", b"--\n")
@example("uniform:0.0:1.0", b"1e999\n-1e999\n")
def test_no_offer_and_no_number_line_makes_an_observer_raise(numbers: str, run: bytes) -> None:
    assert look(numbers, run)["numbers"] == numbers


def test_a_line_that_is_no_number_is_left_out_of_the_histogram() -> None:
    assert sum(look("integers:1:100", b"52\n1-2\n")["histogram"]["counts"]) == 0
    assert sum(look("integers:1:100", b"52\n12\n")["histogram"]["counts"]) > 0


@pytest.mark.parametrize("numbers", ["oftomorrow", "oftomorrow:1:2", "integers:5:1", "uniform:-1e308:1e308"])
def test_numbers_that_this_version_does_not_know_have_no_histogram(numbers: str) -> None:
    assert look(numbers, b"52\n78\n")["histogram"] is None
