"""Tests the numbers for as many minutes as are given, and prints a table; `make statistics`.

Exit status 1: the numbers have failed a test. What is tested is fixed, the same words each time, so that only the time
that there is changes what comes out.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from time import monotonic

from tests.randomness.batteries import OutOfTime, Trial, all_trials
from tests.randomness.generators import BROKEN, SOUND, Generator
from tests.randomness.verdict import WEAK, Verdict, judge, two_sided

OFFSETS_APART = 2**40
OTHER_OFFSET = 2**50


def main() -> int:
    """Run the tests; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.randomness", description=__doc__.partition("\n")[0])
    parser.add_argument("minutes", type=float, help="how long to go on; the test that runs then is ended")
    parser.add_argument("--generator", choices=[*SOUND, *BROKEN], help="this one alone; some are broken on purpose")
    given = parser.parse_args()
    end = monotonic() + 60 * given.minutes
    names = [given.generator] if given.generator else list(SOUND)
    print("| battery | test | generator | p-values | worst | |\n|---|---|---|---|---|---|")
    verdicts = []
    left_out = 0
    for number, test in enumerate(all_trials()):
        for name in names:
            verdict = verdict_of(test, {**SOUND, **BROKEN}[name], number * OFFSETS_APART, end)
            if verdict is None:
                left_out += 1
                continue
            verdicts.append(verdict)
            print(f"| {test.battery} | {test.name} | {name} | {describe(verdict)} |", flush=True)
    p_values = [two_sided(p) for verdict in verdicts for p in verdict.p_values.values()]
    failed = sum(verdict.has_failed for verdict in verdicts)
    print(
        f"\n{len(verdicts)} tests, {len(p_values)} p-values, {sum(p < WEAK for p in p_values)} of them weak"
        f" (below {WEAK}); {left_out} tests left out for want of time or of their program. Failed: {failed or 'none'}."
    )
    return 1 if failed or not verdicts else 0


def verdict_of(test: Trial, generator: Generator, offset: int, end: float) -> Verdict | None:
    """What `test` says of `generator`; None: it is not installed, or there is no time."""
    if test.battery != "scipy" and shutil.which(test.battery) is None:
        return None
    try:
        return judge(lambda start: test.run(generator, start, end), offset, offset + OTHER_OFFSET)
    except OutOfTime:
        return None


def describe(verdict: Verdict) -> str:
    """Three cells: how many p-values there are, the worst, and what that means."""
    worst = min(two_sided(p) for p in verdict.p_values.values())
    told = (
        f"FAILED: {', '.join(verdict.again)}" if verdict.again else "weak once, not again" if verdict.weak else "passed"
    )
    return f"{len(verdict.p_values)} | {worst:.2g} | {told}"


if __name__ == "__main__":
    sys.exit(main())
