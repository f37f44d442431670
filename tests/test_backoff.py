"""Backoff: the delays that docs/protocol.md gives under "Reconnecting" and "The line"."""

from __future__ import annotations

from random import Random

import pytest

from randstream.backoff import Backoff


class Extreme(Random):
    """Always the lowest (0.0) or always the highest (1.0) possible draw."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def random(self) -> float:
        return self._share


def bounds(delay: str, count: int, *arguments: float) -> list[tuple[float, float]]:
    least, most = Backoff(Extreme(0.0)), Backoff(Extreme(1.0))
    return [(getattr(least, delay)(*arguments), getattr(most, delay)(*arguments)) for _ in range(count)]


def test_delays_have_full_jitter_up_to_a_bound_that_doubles_from_a_tenth_of_a_second_to_five() -> None:
    found = bounds("delay", 9)
    assert [least for least, _ in found] == [0.0] * 9
    assert [most for _, most in found] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])


def test_the_jitter_is_spread_evenly() -> None:
    delays = [Backoff(Random(seed)).delay() for seed in range(1000)]
    assert sum(delays) / len(delays) == pytest.approx(0.05, rel=0.1)
    assert sum(delay < 0.025 for delay in delays) == pytest.approx(250, rel=0.2)


def test_the_longest_delay_comes_at_once_and_stays() -> None:
    backoff = Backoff(Extreme(1.0))
    assert [backoff.longest_delay(), backoff.delay()] == [5.0, 5.0]
    assert bounds("longest_delay", 1) == [(0.0, 5.0)]


def test_a_reset_starts_the_delays_over() -> None:
    backoff = Backoff(Extreme(1.0))
    backoff.longest_delay()
    backoff.reset()
    assert backoff.delay() == 0.1


def test_succession_takes_5_to_10_seconds_doubling_to_60() -> None:
    assert bounds("succession_delay", 5, 1.0) == [(5, 10), (10, 20), (20, 40), (30, 60), (30, 60)]


def test_progress_does_not_start_succession_over_or_two_producers_would_duel_for_ever() -> None:
    backoff = Backoff(Extreme(0.0))
    delays = []
    for _ in range(4):
        delays.append(backoff.succession_delay(held=backoff.delay() + 59.0))
        backoff.reset()
    assert delays == [5, 10, 20, 30]


def test_succession_starts_over_after_a_time_in_which_any_rival_would_have_come_back() -> None:
    backoff = Backoff(Extreme(0.0))
    assert [backoff.succession_delay(held) for held in (0, 0, 0, 86400.0, 0)] == [5, 10, 20, 5, 10]


def test_line_limit_makes_a_spare_dial_after_up_to_5_seconds_a_bound_that_doubles_to_60() -> None:
    found = bounds("spare_delay", 6)
    assert [least for least, _ in found] == [0.0] * 6
    assert [most for _, most in found] == [5, 10, 20, 40, 60, 60]


def test_line_limit_starts_over_for_a_spare_only_once_it_has_stood_in_line() -> None:
    backoff = Backoff(Extreme(1.0))
    assert [backoff.spare_delay(), backoff.spare_delay()] == [5, 10]
    backoff.reset()
    backoff.delay()
    backoff.longest_delay()
    assert backoff.spare_delay() == 20
    backoff.reset_spare()
    assert backoff.spare_delay() == 5


def test_a_spare_keeps_its_other_delays_as_they_were() -> None:
    backoff = Backoff(Extreme(1.0))
    backoff.delay()
    backoff.succession_delay(0.0)
    backoff.spare_delay()
    backoff.reset_spare()
    assert (backoff.delay(), backoff.succession_delay(0.0)) == (0.2, 20)


def test_while_there_is_haste_delays_stay_at_a_bound_and_are_half_of_it_at_least() -> None:
    found = bounds("delay", 7, 1.0)
    assert [least for least, _ in found] == [0.0] * 4 + [0.5] * 3
    assert [most for _, most in found] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0])
    backoff = Backoff(Extreme(1.0))
    assert [backoff.delay(1.0) for _ in range(9)][-1] == 1.0
    assert backoff.delay() == 5.0  # the haste is over


def test_haste_of_so_many_that_their_bound_is_the_longest_is_none() -> None:
    assert bounds("delay", 8, 5.0)[-1] == bounds("delay", 8)[-1] == (0.0, 5.0)


@pytest.mark.parametrize("longest", [0.05, 0.1, 0.3])
def test_whoever_asks_for_haste_has_a_lower_bound(longest: float) -> None:
    backoff = Backoff(Extreme(1.0), longest)
    delays = [backoff.delay() for _ in range(4)]
    assert delays == pytest.approx([min(bound, longest) for bound in (0.1, 0.2, 0.4, 0.8)])
    assert backoff.longest_delay() == longest
    backoff.reset()
    assert backoff.delay() == pytest.approx(min(0.1, longest))
    assert backoff.spare_delay() == 5.0  # what haste cannot mend takes as long as ever
