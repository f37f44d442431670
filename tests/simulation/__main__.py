"""Runs plan after plan for so many seconds, or one plan again:

python -m tests.simulation 60                          a minute of plans, from a new seed
python -m tests.simulation 60 --seed 1000              the plans of seeds 1000, 1001, ...
python -m tests.simulation 60 --storm                  producers come and go, with all the promotions that follow
python -m tests.simulation --replay 1017 --trace       the plan of one seed, with all that happened
python -m tests.simulation --replay 1017 --keep 3,8    the same with two of its faults only
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import islice
from random import SystemRandom
from typing import Final

from tests.simulation.plan import Plan, draw_plan, draw_storm
from tests.simulation.simulate import Outcome, breaks_a_promise, shrink, simulate
from tests.simulation.world import Note

PLAN_HEARTBEATS: Final = 200.0
"""Two to twelve bursts of faults, most often, and as many calms."""
Draw = Callable[[int, float], Plan]
PLANS_AT_ONCE: Final = 8
"""Given to a process at a time."""


def run_plans(seeds: range, draw: Draw = draw_plan) -> tuple[Outcome, int | None, str]:
    """The result of the plans of `seeds`, and the first seed that breaks a promise, and how."""
    outcome = Outcome()
    for seed in seeds:
        try:
            outcome.add(simulate(draw(seed, PLAN_HEARTBEATS)))
        except Exception as error:
            return outcome, seed, f"{type(error).__name__}: {error}"
    return outcome, None, ""


def run_for(seconds: float, first_seed: int, jobs: int, draw: Draw) -> int:
    """Run plans for that many seconds of real time; return the exit status."""
    end = time.monotonic() + seconds
    total, plans = Outcome(), 0
    with ProcessPoolExecutor(jobs) as pool:
        seeds = iter(range(first_seed, sys.maxsize, PLANS_AT_ONCE))
        running = {pool.submit(run_plans, range(seed, seed + PLANS_AT_ONCE), draw) for seed in islice(seeds, 2 * jobs)}
        while running:
            done = next(as_completed(running))
            running.remove(done)
            outcome, broken, why = done.result()
            total.add(outcome)
            plans += PLANS_AT_ONCE
            if broken is not None:
                pool.shutdown(cancel_futures=True)
                return tell(broken, why, draw)
            if time.monotonic() < end:
                seed = next(seeds)
                running.add(pool.submit(run_plans, range(seed, seed + PLANS_AT_ONCE), draw))
            print(f"\r{plans:,} plans: {total}", end="", file=sys.stderr, flush=True) if sys.stderr.isatty() else None
    print(f"{plans:,} plans from seed {first_seed}: {total}: nothing broken")
    return 0


def tell(seed: int, why: str, draw: Draw = draw_plan) -> int:
    """Print what broke, and how to see it again with as few faults as possible."""
    print(f"seed {seed} broke a promise:\n{why}\nlooking for the fewest faults that do ...", flush=True)
    plan = shrink(draw(seed, PLAN_HEARTBEATS), breaks_a_promise)
    keep = ",".join(str(fault.number) for fault in plan.faults) or "-"
    storm = " --storm" if draw is draw_storm else ""
    print(*plan.faults, sep="\n")
    print(f'see it again: make simulate ARGS="--replay {seed} --keep {keep}{storm} --trace"')
    return 1


def replay(seed: int, keep: str | None, *, has_trace: bool, draw: Draw = draw_plan) -> int:
    """Run one plan again; return the exit status."""
    plan = draw(seed, PLAN_HEARTBEATS)
    if keep is not None:
        plan = plan.keep({int(number) for number in keep.split(",") if number.isdigit()})
    print(plan.shape, *plan.faults, sep="\n")
    trace: list[Note] | None = [] if has_trace else None
    try:
        print(simulate(plan, trace))
    except Exception as error:
        print(*(f"{note.time:12.6f}  {note.process:14} {note.text}" for note in trace or ()), sep="\n")
        print(f"{type(error).__name__}: {error}")
        return 1
    print(*(f"{note.time:12.6f}  {note.process:14} {note.text}" for note in trace or ()), sep="\n")
    return 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60.0, help="of real time")
    parser.add_argument("--seed", type=int, help="of the first plan; else a new one, which is printed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--replay", type=int, metavar="SEED")
    parser.add_argument("--keep", metavar="NUMBERS", help="the faults to keep, separated by commas; -: none")
    parser.add_argument("--trace", action="store_true", help="print all that happened")
    parser.add_argument("--storm", action="store_true", help="only plans in which producers come and go")
    given = parser.parse_args()
    draw = draw_storm if given.storm else draw_plan
    if given.replay is not None:
        return replay(given.replay, given.keep, has_trace=given.trace, draw=draw)
    seed = SystemRandom().randrange(10**9) if given.seed is None else given.seed
    return run_for(given.seconds, seed, given.jobs, draw)


if __name__ == "__main__":
    sys.exit(main())
