"""The budget for unsent bytes: parts are equal, in whatever order they are taken, and the total holds."""

from __future__ import annotations

import math

import pytest

from randstream.net.budget import LEAST_BYTES, MOST_BYTES, SendBudget
from randstream.settings.roles import BUFFER_BYTES


def a_budget(total: int, sharers: int) -> SendBudget:
    budget = SendBudget(total)
    for sharer in range(sharers):
        budget.join(sharer)
    return budget


@pytest.mark.parametrize("sharers", [1, 2, 90, 450, 1000, 10_000])
def test_whoever_takes_a_part_leaves_one_to_each_of_the_others(sharers: int) -> None:
    budget, parts = a_budget(BUFFER_BYTES, sharers), []
    for _ in range(sharers):
        parts.append(budget.share)
        budget.held += budget.share
    assert budget.held <= BUFFER_BYTES
    assert parts[0] == min(BUFFER_BYTES // sharers, MOST_BYTES)
    assert parts[-1] >= min(parts[0] / math.e - 1, MOST_BYTES) >= LEAST_BYTES


def test_the_total_holds_when_others_come_later() -> None:
    budget = SendBudget(BUFFER_BYTES)
    for sharer in range(5000):
        budget.join(sharer)
        budget.held += budget.share
    assert budget.held <= BUFFER_BYTES + 5000 * LEAST_BYTES


def test_who_leaves_gives_the_others_more_and_may_leave_twice() -> None:
    budget = a_budget(2**20, 4)
    assert budget.share == 2**18
    for sharer in (0, 1, 1, "stranger"):
        budget.leave(sharer)
    assert budget.share == 2**19
    budget.join(2)
    assert budget.share == 2**19


def test_there_is_always_room_for_a_little() -> None:
    budget = a_budget(1, 10)
    budget.held = 2**20
    assert budget.share == LEAST_BYTES
