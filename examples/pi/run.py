"""Estimate π over several workers, then from the seed alone; exit 1 if the two differ.

python examples/pi/run.py [--workers N] [--points N] [--seed TEXT]
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from randstream import NumberStream

NUMBERS = "uniform:0:1"
ENDS = (signal.SIGINT, signal.SIGTERM)
SIMULATE = Path(__file__).with_name("simulate.py")


def main() -> int:
    """Estimate in both ways and compare."""
    parser = argparse.ArgumentParser(description="Estimate π over several workers, then from the seed alone.")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--points", type=int, default=100_000, help="for each worker")
    parser.add_argument("--seed", default="pi")
    options = parser.parse_args()
    if options.workers < 1 or options.points < 1:
        parser.error("give at least one worker and one point")
    names = [f"worker-{number}" for number in range(options.workers)]
    streamed = stream(names, options.points, options.seed)
    computed = sum(recompute(name, options.points, options.seed) for name in names)
    total = options.points * len(names)
    print(f"{len(names)} workers:  π is about {4 * streamed / total!r}")
    print(f"the seed alone: π is about {4 * computed / total!r}")
    print("equal to the last digit" if streamed == computed else "DIFFERENT: this is a bug")
    return 0 if streamed == computed else 1


def stream(names: list[str], points: int, seed: str) -> int:
    """The sum of the hits counted by the workers' programs."""
    processes: list[subprocess.Popen[str]] = []
    signals: list[int] = []
    for number in ENDS:  # recorded, not raised, so a process that is just starting is ended too
        signal.signal(number, lambda number, _: signals.append(number))
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in names]
        try:
            for name, file in zip(names, files, strict=True):
                command = (sys.executable, str(SIMULATE), str(points), str(file))
                worker = ("worker", "--name", name, "--listen", "127.0.0.1:0", "--", *command)
                processes.append(start(*worker, stderr=subprocess.PIPE))
            addresses = ",".join(wait_address(worker) for worker in processes)
            producer = ("producer", "--workers", addresses, "--numbers", NUMBERS, "--rate", "max", "--seed", seed)
            processes.append(start(*producer, "--log-level", "error"))
            while not all(file.exists() for file in files):
                if signals:
                    sys.exit(128 + signals[0])
                if any(process.poll() is not None for process in processes):
                    sys.exit("a worker or the producer has ended")
                time.sleep(0.05)
            return sum(int(file.read_text()) for file in files)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.communicate()
            for number in ENDS:
                signal.signal(number, signal.SIG_DFL)


def start(*arguments: str, stderr: int | None = None) -> subprocess.Popen[str]:
    """A randstream process in a session of its own: Ctrl-C reaches only us, and we end it."""
    command = [sys.executable, "-P", "-m", "randstream", *arguments]
    return subprocess.Popen(command, stderr=stderr, text=True, process_group=0)


def wait_address(worker: subprocess.Popen[str]) -> str:
    """The address that the worker logs once it listens."""
    assert worker.stderr is not None
    for line in worker.stderr:
        event = json.loads(line)
        if event["event"] == "worker.listening":
            return str(event["address"])
    sys.exit("a worker did not start")


def recompute(name: str, points: int, seed: str) -> int:
    """The hits of one worker, from the seed alone."""
    x, y = NumberStream(seed, name, NUMBERS).read(0, 2 * points).reshape(-1, 2).T
    return int(np.count_nonzero(x * x + y * y <= 1.0))


if __name__ == "__main__":
    sys.exit(main())
