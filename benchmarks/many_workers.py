"""Ten thousand streams from one producer: time until all flow, cost, lateness, and the effect of a kill.

python -m benchmarks.many_workers [--workers 10,100,1000,10000] [--seconds 10] [--rate 1] [--json FILE] [--plot FILE]

The workers live in a few processes; file descriptors: about one a worker in each, and one a worker in the producer.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .processes import Group, process_group
from .worker_host import PORT, address_of

HOSTS = 4
Hosts = list[subprocess.Popen[bytes]]
OPEN_FILES = 20_000
PATIENCE = 60.0


def main() -> int:
    """Run every size and print a line for each; 1 if any streams did not come back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="10,100,1000,10000", help="sizes, separated by commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the cost is measured (default 10)")
    parser.add_argument("--rate", type=float, default=1.0, help="numbers a second for each worker (default 1)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (OPEN_FILES, max(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    )
    rows = []
    for size in map(int, options.workers.split(",")):
        rows.append(measure(size, options.seconds, options.rate))
        print(json.dumps(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)
    return 0 if all(row["all_back"] for row in rows) else 1


def start_hosts(group: Group, folder: Path, module: str, size: int, *more: str) -> tuple[Hosts, Path]:
    """Processes that hold `size` workers between them, and the file of their addresses."""
    share = -(-size // HOSTS)
    hosts = [
        group.start(
            [sys.executable, "-m", f"benchmarks.{module}", str(first), str(min(share, size - first)), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None,
        )
        for first in range(0, size, share)
    ]  # fmt: skip
    for host in hosts:
        assert host.stdout is not None
        host.stdout.readline()
    targets = folder / "workers"
    targets.write_text("".join(f"{address_of(n)}:{PORT}\n" for n in range(size)))
    return hosts, targets


def measure(size: int, seconds: float, rate: float) -> dict[str, float | int | bool]:
    """Measure one producer with `size` workers."""
    with process_group() as group, tempfile.TemporaryDirectory(prefix="randstream-bench-") as folder:
        hosts, targets = start_hosts(group, Path(folder), "worker_host", size, str(rate))
        command = [
            sys.executable, "-m", "randstream", "producer", "--workers", f"@{targets}", "--seed", "benchmark",
            "--rate", str(rate), "--log-level", "warning",
        ]  # fmt: skip
        first = group.start(command, stderr=subprocess.PIPE)
        resumed_in = wait_all(hosts, size, time.monotonic())
        time.sleep(2 / rate)  # every stream has had its first numbers
        earlier = [ask(host, "forget") for host in hosts]
        hosting = sum(cpu_seconds(host.pid) for host in hosts)
        before, at = cpu_seconds(first.pid), time.monotonic()
        time.sleep(seconds)
        cores = (cpu_seconds(first.pid) - before) / (time.monotonic() - at)
        hosting = (sum(cpu_seconds(host.pid) for host in hosts) - hosting) / (time.monotonic() - at)
        memory = resident_bytes(first.pid)
        stats = [ask(host) for host in hosts]
        begins = sum(each["begins"] for each in stats)
        group.reap(first, signal.SIGKILL)
        second = group.start(command, stderr=subprocess.PIPE)
        back_in = wait_all(hosts, size, time.monotonic())
        again = [ask(host) for host in hosts]
        group.reap(second, signal.SIGTERM, patience=15)
        assert second.stderr is not None
        complaints = sum(b"link." in line for line in second.stderr)
        return {
            "workers": size,
            "resumed_in_seconds": round(resumed_in, 3),
            "cores": round(cores, 4),
            "cores_of_workers": round(hosting, 4),
            "us_per_link_second": round(cores / size * 1e6, 1),
            "resident_bytes": memory,
            "rate_error": round(sum(map(rate_between, earlier, stats)) / (size * rate) - 1, 6),
            "late_p50_ms": round(max(each["late"][0] for each in stats) * 1e3, 2),
            "late_p99_ms": round(max(each["late"][1] for each in stats) * 1e3, 2),
            "late_p999_ms": round(max(each["late"][2] for each in stats) * 1e3, 2),
            "back_in_seconds": round(back_in, 3),
            "connections_before_kill": begins,
            "connections_after_restart": sum(each["begins"] for each in again) - begins,
            "complaints_after_restart": complaints,
            "all_back": all(each["numbers"] >= one["numbers"] for each, one in zip(again, stats, strict=True)),
        }


def rate_between(earlier: dict[str, Any], later: dict[str, Any]) -> float:
    """Numbers a second that one host got."""
    return (later["numbers"] - earlier["numbers"]) / (later["asked_at"] - earlier["asked_at"])


def wait_all(hosts: list[subprocess.Popen[bytes]], size: int, since: float) -> float:
    """Seconds from `since` until the last stream was resumed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stats = [ask(host) for host in hosts]
        if sum(each["resumed"] for each in stats) == size and min(each["last_begun_at"] for each in stats) > since:
            return max(each["last_begun_at"] for each in stats) - since
        time.sleep(0.2)
    raise TimeoutError(f"not all of {size} streams flow after {PATIENCE} s: {stats}")


def ask(host: subprocess.Popen[bytes], word: str = "stats") -> dict[str, Any]:
    """The statistics of one host; with `forget`, lateness starts over."""
    assert host.stdin is not None
    assert host.stdout is not None
    host.stdin.write(f"{word}\n".encode())
    host.stdin.flush()
    answer: dict[str, Any] = json.loads(host.stdout.readline())
    return answer


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, from the scheduler: counting ticks is wrong for what wakes up with them."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def plot(rows: list[dict[str, float | int | bool]], path: Path) -> None:
    """Plot the cost per stream against the number of streams."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5))
    sizes = [row["workers"] for row in rows]
    left.plot(sizes, [row["us_per_link_second"] for row in rows], "o-", color="#2a78b8")
    left.set_ylabel("µs of the producer's CPU a stream and second")
    left.set_yscale("log")
    left.set_ylim(10, 10_000)
    right.plot(sizes, [row["late_p99_ms"] for row in rows], "o-", color="#2a78b8")
    right.set_ylabel("p99 lateness of a number, ms")
    right.set_ylim(0, 50)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xlabel("streams")
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
