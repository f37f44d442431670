"""The benchmark: several rounds of all contenders; medians as a table, JSON and a plot.

python -m benchmarks.bench [--seconds S] [--rounds N] [--json FILE] [--plot FILE] [--only TEXT]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from .contenders import CONTENDERS, Contender, Result

REFERENCE = CONTENDERS[0].name
LIMIT_SECONDS = 600
"""Seconds after which no new run is started."""


def main() -> int:
    """Run, print and write the results; 1 if a contender that is installed failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one run (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--plot", type=Path, help="write a plot there")
    parser.add_argument("--only", default="", help="contenders whose name has this text")
    options = parser.parse_args()
    console = Console(stderr=True)
    chosen = [each for each in CONTENDERS if options.only in each.name or each.name == REFERENCE]
    for each in chosen:
        if each.missing:
            console.print(f"skipped: {each.name} ({', '.join(each.missing)} not installed)", highlight=False)
    chosen = [each for each in chosen if not each.missing]
    results, failures = run_rounds(chosen, options.seconds, options.rounds, console)
    rows = [summarise(name, results[name], results[REFERENCE]) for name in results if results[name]]
    print_table(rows)
    if options.json:
        machine = {"python": platform.python_version(), "cores": os.cpu_count(), "kernel": platform.release()}
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)
    return 1 if failures else 0


def run_rounds(
    chosen: list[Contender], seconds: float, rounds: int, console: Console
) -> tuple[dict[str, list[Result]], int]:
    """Run every contender once a round, so that a slow minute of the machine affects all of them."""
    started = time.monotonic()
    results: dict[str, list[Result]] = {each.name: [] for each in chosen}
    failures = 0
    for number in range(rounds):
        for each in chosen:
            if time.monotonic() - started > LIMIT_SECONDS:
                console.print("out of time: the medians are of fewer rounds")
                return results, failures
            try:
                result = each.run(seconds)
            except (OSError, ValueError, KeyError, TimeoutError) as error:
                console.print(f"FAILED: {each.name}: {error!r}", highlight=False)
                failures += 1
                continue
            results[each.name].append(result)
            console.print(f"round {number + 1}: {each.name}: {result.rate / 1e6:.3f} M/s", highlight=False)
    return results, failures


def summarise(name: str, runs: list[Result], reference: list[Result]) -> dict[str, float | str]:
    """A row of the table. Its ratio is the median over the rounds of randstream's rate to this one's."""
    ratios = [ours.rate / theirs.rate for ours, theirs in zip(reference, runs, strict=False)]
    return {
        "name": name,
        "rate": median(run.rate for run in runs),
        "cpu_us_per_number": median(run.cpu_seconds / run.numbers * 1e6 for run in runs),
        "peak_mib": median(run.peak_bytes for run in runs) / 2**20,
        "ratio": median(ratios),
    }


def print_table(rows: list[dict[str, float | str]]) -> None:
    """The table, fastest first."""
    table = Table(title="numbers delivered and counted at the receiver, medians")
    for heading in ("", "M numbers/s", "CPU s per M", "peak MiB", "randstream is"):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in sorted(rows, key=lambda row: -float(row["rate"])):
        table.add_row(
            str(row["name"]), f"{float(row['rate']) / 1e6:.3f}", f"{row['cpu_us_per_number']:.3f}",
            f"{row['peak_mib']:.0f}", f"{float(row['ratio']):.3g} x",
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def plot(rows: list[dict[str, float | str]], path: Path) -> None:
    """Plot the rates as bars, on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    rows = sorted(rows, key=lambda row: float(row["rate"]))
    figure, axes = pyplot.subplots(figsize=(9, 5))
    colours = ["#2a78b8" if str(row["name"]).startswith("randstream") else "#b8b8b8" for row in rows]
    axes.barh([str(row["name"]) for row in rows], [float(row["rate"]) for row in rows], color=colours)
    axes.set_xscale("log")
    axes.set_xlabel("numbers a second, counted at the receiver (bits64 as text lines)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
