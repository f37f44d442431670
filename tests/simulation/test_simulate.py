"""Plans that are run, replayed and shrunk."""

from __future__ import annotations

import pytest
from tests.simulation.__main__ import PLAN_HEARTBEATS, replay, run_plans, tell
from tests.simulation.mutants import find_mutant, mutated
from tests.simulation.plan import Plan, draw_plan, draw_storm
from tests.simulation.simulate import breaks_a_promise, shrink, simulate
from tests.simulation.world import Note

pytestmark = pytest.mark.usefixtures("unmeasured")


def test_no_plan_breaks_a_promise() -> None:
    outcome, broken, why = run_plans(range(108, 112))
    assert (broken, why) == (None, "")
    assert outcome.faults.total() > 150
    assert outcome.lives > 40
    assert outcome.stream_seconds > 2500


def test_a_storm_of_producers_breaks_no_promise_and_promotes_all_the_time() -> None:
    outcome = simulate(draw_storm(1, 20.0))
    assert outcome.promotions["promotion"] > 20
    assert draw_storm(1, 20.0) == draw_storm(1, 20.0) != draw_storm(2, 20.0)


def test_a_seed_is_a_run_to_the_last_note() -> None:
    traces: list[list[Note]] = [[], []]
    for trace in traces:
        simulate(draw_plan(3, 20.0), trace)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 200


def test_another_seed_is_another_plan() -> None:
    assert draw_plan(3, PLAN_HEARTBEATS) == draw_plan(3, PLAN_HEARTBEATS) != draw_plan(4, PLAN_HEARTBEATS)


def test_a_plan_shrinks_to_the_faults_that_it_takes() -> None:
    plan = draw_plan(1, PLAN_HEARTBEATS)
    needed = {plan.faults[3].number, plan.faults[40].number}

    def breaks(candidate: Plan) -> bool:
        return needed <= {fault.number for fault in candidate.faults}

    assert {fault.number for fault in shrink(plan, breaks).faults} == needed


def test_what_broke_is_told_with_the_command_that_shows_it_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeats = 15.0
    monkeypatch.setattr("tests.simulation.__main__.PLAN_HEARTBEATS", heartbeats)  # few, for it is run many times
    with mutated(find_mutant("sink-error-is-swallowed")):
        seed = next(seed for seed in range(200) if breaks_a_promise(draw_plan(seed, heartbeats)))
        assert tell(seed, "numbers are gone") == 1
        told = capsys.readouterr().out
        command = told.splitlines()[-1]
        assert command.startswith(f'see it again: make simulate ARGS="--replay {seed} --keep ')
        keep = command.split("--keep ")[1].split()[0]
        assert len(keep.split(",")) < 10
        assert replay(seed, keep, has_trace=True) == 1
    shown = capsys.readouterr().out
    assert "fail disk" in shown
    assert "\nBroken: at " in shown


def test_a_replay_without_the_fault_of_the_code_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(2, "-", has_trace=False) == 0
    assert "0 faults" in capsys.readouterr().out
