"""Past: what it keeps of each stream, for how long, and that it stays small whatever the links do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.support.memory import traced

from randstream.admin import past
from randstream.admin.observer import Observer, to_json
from randstream.admin.past import HOURS, MINUTES, History, Past
from randstream.observe.status import LinkState

WALL = 1e9
"""The wall's clock when the monotonic one is at 0."""


def look(seen: Past, links: list[FakeLink], first: int, last: int, rate: int = 0, every: int = 1) -> None:
    """Look each second, or more seldom, from `first` to `last`, with numbers at `rate` in between."""
    for second in range(first, last, every):
        for link in links:
            link.offset += rate * every
        seen.look(links, float(second))


def history(seen: Past, now: float, name: str = "worker-0") -> History:
    found = seen.history(name, now, WALL + now)
    assert found is not None
    return found


def test_a_minute_has_the_mean_and_the_highest_of_its_looks() -> None:
    seen, link = Past(), FakeLink(acked_offset=-10, round_trip=0.002)
    seen.look([link], 0.0)
    link.offset, link.round_trip = 30, 0.004
    seen.look([link], 1.0)
    link.acked_offset, link.round_trip = 30, None
    seen.look([link], 2.0)
    minutes = history(seen, 2.0).minutes
    assert (minutes.step, minutes.start) == (60, WALL)
    assert [*minutes.rate.mean, *minutes.rate.highest] == [15, 30]  # the first look knows no rate
    assert [*minutes.lag.mean, *minutes.lag.highest] == pytest.approx([50 / 3, 40])
    assert [*minutes.round_trip.mean, *minutes.round_trip.highest] == pytest.approx([0.003, 0.004])


def test_the_last_two_hours_are_kept_by_the_minute_and_two_days_by_the_hour() -> None:
    seen, links = Past(), [FakeLink()]
    look(seen, links, 0, 50 * 3600, 40, every=20)
    found = history(seen, 50 * 3600 - 1)
    assert (found.minutes.step, found.hours.step) == (60, 3600)
    assert (len(found.minutes.rate.mean), len(found.hours.rate.mean)) == (MINUTES, HOURS) == (120, 48)
    assert found.minutes.start == WALL + 48 * 3600
    assert found.hours.start == WALL + 2 * 3600
    for course in (found.minutes, found.hours):
        assert course.rate.mean == pytest.approx(40, rel=0.001)
        assert course.rate.highest == pytest.approx(40, rel=0.001)


@pytest.mark.parametrize("value", [0.0, 3e-5, 0.5, 1.0, 40.0, 12_345.0, 8.7e7, 4.2e9])
def test_what_is_kept_is_right_to_a_thousandth(value: float) -> None:
    seen, link = Past(), FakeLink(acked_offset=-int(value), round_trip=value)
    seen.look([link], 0.0)
    seen.look([link], 60.0)
    minutes = history(seen, 60.0).minutes
    assert minutes.round_trip.mean[0] == pytest.approx(value, rel=0.001)
    assert minutes.lag.highest[0] == pytest.approx(int(value), rel=0.001)


def test_more_than_fits_is_the_most_that_does() -> None:
    seen, link = Past(), FakeLink(acked_offset=-(2**62))
    seen.look([link], 0.0)
    seen.look([link], 60.0)
    assert 4e9 < history(seen, 60.0).minutes.lag.mean[0] < np.inf


def test_a_link_that_goes_back_has_no_negative_rate() -> None:
    seen, link = Past(), FakeLink(offset=1000)
    look(seen, [link], 0, 10, 40)
    link.offset = 0
    look(seen, [link], 10, 60, 40)
    assert history(seen, 60.0).minutes.rate.mean[0] == pytest.approx(40, rel=0.03)
    assert history(seen, 60.0).minutes.rate.highest[0] == 40


@pytest.mark.parametrize("state", [LinkState.STANDBY, LinkState.WAITING, LinkState.RESTING])
def test_the_progress_of_another_producer_is_no_rate(state: LinkState) -> None:
    seen, link = Past(), FakeLink(worker="")
    look(seen, [link], 0, 10, 20)
    link.state = state
    look(seen, [link], 10, 30, 40)
    link.state = LinkState.STREAMING
    link.offset += 1_000_000  # where the other one left off
    look(seen, [link], 30, 60, 20)
    minutes = history(seen, 60.0, link.peer).minutes
    assert minutes.rate.highest[0] == 20
    assert minutes.rate.mean[0] == pytest.approx(20 * (9 + 29) / 58)


def test_a_round_trip_of_a_connection_that_is_over_does_not_count() -> None:
    seen, link = Past(), FakeLink(state=LinkState.WAITING)
    look(seen, [link], 0, 60)
    assert np.isnan(history(seen, 59.0).minutes.round_trip.mean).all()


def test_time_that_jumps_leaves_a_gap_and_drops_what_is_too_old() -> None:
    seen, links = Past(), [FakeLink()]
    look(seen, links, 0, 180, 40)
    look(seen, links, 600, 660, 40)
    rates = history(seen, 660.0).minutes.rate.mean
    assert list(np.isnan(rates)) == [False] * 3 + [True] * 7 + [False]
    look(seen, links, 60 * (MINUTES + 5), 60 * (MINUTES + 6), 40)
    found = history(seen, 60.0 * (MINUTES + 6))
    assert found.minutes.start == WALL + 600
    assert found.hours.start == WALL
    seen.look(links, 1e7)
    assert len(history(seen, 1e7).minutes.rate.mean) == len(history(seen, 1e7).hours.rate.mean) == 1


def test_a_clock_that_stands_adds_nothing() -> None:
    seen, link = Past(), FakeLink()
    for _ in range(3):
        link.offset += 10
        seen.look([link], 5.0)
    assert np.isnan(history(seen, 5.0).minutes.rate.mean).all()


def test_a_stream_goes_on_under_another_link_and_names_are_exact() -> None:
    seen = Past()
    look(seen, [FakeLink(peer="10.0.0.1:9000")], 0, 60, 40)
    look(seen, [FakeLink(peer="10.0.0.2:9000", offset=10_000)], 60, 120, 20)
    assert list(history(seen, 120.0).minutes.rate.highest) == pytest.approx([40, 20], rel=0.001)
    for name in ("worker", "worker-00", "Worker-0", "10.0.0.1:9000", ""):
        assert seen.history(name, 120.0, WALL) is None


def test_a_stream_that_takes_the_place_of_another_has_nothing_of_its_past(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST_DEPARTED", 0)
    seen = Past()
    look(seen, [FakeLink("worker-0"), FakeLink("worker-1")], 30, 150, 40)
    look(seen, [FakeLink("worker-1")], 150, 151, 40)  # worker-0 is forgotten, in the middle of a minute
    look(seen, [FakeLink("worker-2"), FakeLink("worker-1")], 151, 152)
    assert seen.history("worker-0", 152.0, WALL) is None
    new, old = history(seen, 152.0, "worker-2").minutes, history(seen, 152.0, "worker-1").minutes
    assert (new.start, old.start) == (WALL + 120, WALL)
    assert np.isnan(new.rate.mean).all()
    assert [*new.lag.highest, *history(seen, 152.0, "worker-2").hours.lag.highest] == [0, 0]


def test_only_so_many_streams_have_a_past_and_those_that_departed_first_make_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(past, "MOST_STREAMS", 5)
    monkeypatch.setattr(past, "MOST_DEPARTED", 2)
    links = [FakeLink(f"worker-{number}") for number in range(8)]
    seen = Past()

    def known() -> str:
        return "".join(str(number) for number in range(8) if seen.history(f"worker-{number}", 0.0, WALL))

    look(seen, links[:4], 0, 10)
    assert known() == "0123"
    look(seen, links[1:4], 10, 11)
    look(seen, links[2:4], 11, 12)
    look(seen, links[3:4], 12, 13)
    look(seen, links[3:4], 60, 61)  # the time to tidy up
    assert known() == "123"
    look(seen, links[3:], 61, 62)
    assert known() == "12345"
    look(seen, links[3:], 120, 121)
    assert known() == "34567"


def test_many_links_are_looked_at_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "SAMPLED_STREAMS", 4)
    links = [FakeLink(f"worker-{number}") for number in range(10)]
    seen = Past()
    look(seen, links, 0, 60, 40)
    for number in range(10):
        assert history(seen, 60.0, f"worker-{number}").minutes.rate.highest[0] == pytest.approx(40)


def test_no_links_are_no_past_and_links_may_all_go() -> None:
    seen, links = Past(), [FakeLink()]
    look(seen, [], 0, 3)
    look(seen, links, 3, 60, 40)
    look(seen, [], 60, 200)
    assert list(history(seen, 200.0).minutes.rate.mean) == pytest.approx([40], rel=0.001)


@pytest.mark.usefixtures("unmeasured")
def test_the_memory_of_ten_thousand_streams_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = 100
    monkeypatch.setattr(past, "SAMPLED_STREAMS", streams)
    links = [FakeLink(f"worker-{number}") for number in range(streams)]
    seen, now, sizes = Past(), 0.0, []
    with traced("admin/past.py") as held:
        for step in (3600, 60) * 2:  # all hours and all minutes are full after few looks
            for _ in range(130):
                now += step
                seen.look(links, now)
            sizes.append(held() / streams)
    filled = sizes[1::2]
    assert all(1900 < size < 2500 for size in filled), filled  # bytes a stream: 25 MB for MOST_STREAMS
    assert abs(filled[1] - filled[0]) < 100


def test_the_json_of_a_stream_has_nulls_for_what_is_not_known() -> None:
    role = FakeRole(links=[FakeLink(round_trip=None)])
    observer = Observer(role)
    role.clock.now = lambda: 0.0
    observer.tick(0.0)
    found = json.loads(to_json(observer.stream("worker-0")))  # type: ignore[arg-type] # a name with a past is never None
    assert found["history"]["minutes"]["round_trip"] == {"mean": [None], "highest": [None]}
    assert found["history"]["hours"]["lag"] == {"mean": [0.0], "highest": [0.0]}
