"""A plan is drawn from its seed alone."""

from __future__ import annotations

from itertools import islice

from tests.chaos.plan import CORRUPTIONS, CUTS, PRODUCER_WEIGHTS, WORKER_WEIGHTS, producer_plan, worker_plan


def test_a_plan_follows_from_its_seed_and_has_every_kind_of_fault() -> None:
    first, again, other = (list(islice(worker_plan(seed, "worker-0"), 300)) for seed in ("1", "1", "2"))
    assert first == again != other
    assert {fault.kind for fault in first} == {*WORKER_WEIGHTS} > CUTS | CORRUPTIONS
    assert {fault.kind for fault in islice(producer_plan("1", "producer-0"), 100)} == {*PRODUCER_WEIGHTS}
