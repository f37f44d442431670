"""Teeth: a simulation notices each mutant, and reports nothing without one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.simulation.mutants import CAUGHT_BY, HEARTBEATS, MUTANTS, Mutant, mutated
from tests.simulation.plan import draw_plan
from tests.simulation.simulate import breaks_a_promise, simulate

pytestmark = pytest.mark.usefixtures("unmeasured")

SEEDS = 60
"""Enough plans to catch each mutant on any Python, except `other-stream-comes-first`: what asyncio does in a turn
differs a little between versions."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_caught(mutant: Mutant) -> None:
    with mutated(mutant):
        assert any(breaks_a_promise(draw_plan(seed, HEARTBEATS)) for seed in (CAUGHT_BY[mutant.name], *range(SEEDS)))


@pytest.mark.parametrize("seed", sorted(set(CAUGHT_BY.values())))
def test_the_same_plans_break_nothing_without_a_mutant(seed: int) -> None:
    simulate(draw_plan(seed, HEARTBEATS))


def test_a_mutant_leaves_nothing_behind() -> None:
    for mutant in MUTANTS:
        before = vars(mutant.owner)[mutant.function]
        with suppress(ZeroDivisionError), mutated(mutant):
            assert vars(mutant.owner)[mutant.function] is not before
            raise ZeroDivisionError
        assert vars(mutant.owner)[mutant.function] is before


def test_every_mutant_has_a_seed_and_a_name_of_its_own() -> None:
    assert len(MUTANTS) >= 20
    assert [mutant.name for mutant in MUTANTS] == list(CAUGHT_BY)
