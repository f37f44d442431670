"""A group of producers and thousands of workers: shares, the silence after a kill, and what standing by costs.

python -m benchmarks.group [--workers 3000] [--standbys 10000] [--seconds 6] [--json FILE]

Three producers on loopback, one number a second to each worker, heartbeat 1 s; under three minutes. The workers live in
a few processes. Those at which a producer only stands by are pretended: they ask, and never say resume.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .many_workers import OPEN_FILES, PATIENCE, Hosts, ask, cpu_seconds, resident_bytes, start_hosts
from .processes import Group, process_group

PRODUCERS = 3
RATE = 1.0
WELL_SPREAD = 0.1
"""By how much a producer may miss its third."""


def main() -> int:
    """Measure and print a table; 1 if a stream did not come back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=3000)
    parser.add_argument("--standbys", type=int, default=10_000, help="links of one producer that only stand by")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each cost is measured (default 6)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    most = max(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, most))
    row: dict[str, float] = {}
    for measure, size in ((measure_group, options.workers), (measure_standbys, options.standbys)):
        for name, value in measure(size, options.seconds).items() if size else ():
            row[name] = value
            print(f"{name.replace('_', ' '):<44}{value:>12,}", flush=True)
    for what in ("us_a_{}_link_and_second", "bytes_a_{}_link"):
        if {what.format("live"), what.format("standby")} <= row.keys():
            ratio = row[what.format("standby")] / row[what.format("live")]
            print(f"{what.format('standby').replace('_', ' ') + ' / live':<44}{ratio:>12.2f}")
    if options.json:
        options.json.write_text(json.dumps(row, indent=1) + "\n")
    return 0


def measure_group(size: int, seconds: float, *, well_spread: float = WELL_SPREAD) -> dict[str, float]:
    """What live links cost one producer; then two more come, and one is killed."""
    with process_group() as group, tempfile.TemporaryDirectory(prefix="randstream-bench-") as folder:
        hosts, targets = start_hosts(group, Path(folder), "worker_host", size, str(RATE))
        first = start_producer(group, targets, 0)
        wait(hosts, lambda stats: total(stats, "resumed") == size)
        time.sleep(2)
        live = cost(first.pid, size, seconds)
        started_at = time.monotonic()
        second, _ = (start_producer(group, targets, number) for number in (1, 2))
        wait(hosts, lambda stats: spread(stats) < well_spread, patience=1.5 * PATIENCE)
        spread_in = time.monotonic() - started_at
        shares = None
        while shares != (shares := served([ask(host) for host in hosts])):  # until nothing is handed over any more
            time.sleep(2)
        killed_at = time.monotonic()
        group.reap(second, signal.SIGKILL)
        stats = wait(hosts, lambda stats: total(stats, "resumed") == size and "producer-1" not in served(stats))
        back = sorted(at - killed_at for each in stats for at in each["served_since"] if at > killed_at)
        return {
            "workers": size,
            "us_a_live_link_and_second": round(live[0], 1),
            "bytes_a_live_link": round(live[1]),
            "seconds_until_shares_within_a_tenth": round(spread_in, 1),
            **{f"share_of_producer-{n}": round(shares[f"producer-{n}"] / size, 4) for n in range(PRODUCERS)},
            "moved_by_the_kill": len(back),
            "back_in_seconds_median": round(back[len(back) // 2], 3),
            "back_in_seconds_last": round(back[-1], 3),
        }


def measure_standbys(size: int, seconds: float) -> dict[str, float]:
    """One producer, all of whose links stand by."""
    with process_group() as group, tempfile.TemporaryDirectory(prefix="randstream-bench-") as folder:
        hosts, targets = start_hosts(group, Path(folder), "standby_host", size)
        producer = start_producer(group, targets, 1)
        wait(hosts, lambda stats: total(stats, "standing") == size)
        time.sleep(2)
        before, at = total([ask(host) for host in hosts], "answers"), time.monotonic()
        microseconds, memory = cost(producer.pid, size, seconds)
        answered = (total([ask(host) for host in hosts], "answers") - before) / (time.monotonic() - at)
        return {
            "standbys": size,
            "answers_a_second": round(answered),
            "cores_of_the_standbys": round(microseconds * size / 1e6, 3),
            "us_a_standby_link_and_second": round(microseconds, 1),
            "bytes_a_standby_link": round(memory),
        }


def start_producer(group: Group, targets: Path, number: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable, "-m", "randstream", "producer", "--name", f"producer-{number}", "--workers", f"@{targets}",
        "--seed", "benchmark", "--rate", str(RATE), "--log-level", "error",
    ]  # fmt: skip
    return group.start(command)


def cost(pid: int, links: int, seconds: float) -> tuple[float, float]:
    """Microseconds of CPU a link and second, and bytes of memory a link, above those of a process without links."""
    before, at = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    cores = (cpu_seconds(pid) - before) / (time.monotonic() - at)
    return cores / links * 1e6, (resident_bytes(pid) - resident_without_links()) / links


def resident_without_links() -> int:
    """The memory of a producer whose only target is away."""
    global _without_links  # noqa: PLW0603 - measured once
    if not _without_links:
        with process_group() as group:
            command = [sys.executable, "-m", "randstream", "producer", "--workers", "127.0.0.1:1", "--seed", "x"]
            child = group.start(command)
            time.sleep(2)
            _without_links = resident_bytes(child.pid)
    return _without_links


_without_links = 0


def wait(
    hosts: Hosts, is_enough: Callable[[list[dict[str, Any]]], bool], patience: float = PATIENCE
) -> list[dict[str, Any]]:
    """Ask until it is enough; the last answers."""
    deadline = time.monotonic() + patience
    while not is_enough(stats := [ask(host) for host in hosts]):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not there after {patience} s: {served(stats)}, {total(stats, 'standing')} stand by")
        time.sleep(0.2)
    return stats


def total(stats: list[dict[str, Any]], name: str) -> int:
    return sum(each[name] for each in stats)


def served(stats: list[dict[str, Any]]) -> Counter[str]:
    """How many workers each producer serves."""
    return sum((Counter(each.get("served", {})) for each in stats), Counter())


def spread(stats: list[dict[str, Any]]) -> float:
    """By how much the share of any producer misses the fair one."""
    shares = served(stats)
    fair = sum(shares.values()) / PRODUCERS
    return max(abs(shares[f"producer-{n}"] / fair - 1) for n in range(PRODUCERS)) if fair else 1.0


if __name__ == "__main__":
    sys.exit(main())
