"""Estimate π over several workers, then from the seed alone; exit 1 if the two differ.

python examples/pi/run.py [--workers N] [--points N] [--seed TEXT]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from randstream import NumberStream

NUMBERS = "uniform:0:1"
RANDSTREAM = (sys.executable, "-m", "randstream")
SIMULATE = Path(__file__).with_name("simulate.py")


def main() -> int:
    """Stream, recompute, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--points", type=int, default=100_000, help="for each worker")
    parser.add_argument("--seed", default="pi")
    options = parser.parse_args()
    names = [f"worker-{number}" for number in range(options.workers)]
    streamed = stream(names, options.points, options.seed)
    computed = sum(recompute(name, options.points, options.seed) for name in names)
    total = options.points * len(names)
    print(f"{len(names)} workers:  π is about {4 * streamed / total!r}")
    print(f"the seed alone: π is about {4 * computed / total!r}")
    print("equal to the last digit" if streamed == computed else "DIFFERENT: this is a bug")
    return 0 if streamed == computed else 1


def stream(names: list[str], points: int, seed: str) -> int:
    """The hits that the workers' programs counted, all together."""
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in names]
        try:
            ports = []
            for name, file in zip(names, files, strict=True):
                command = [sys.executable, str(SIMULATE), str(points), str(file)]
                worker = subprocess.Popen(
                    [*RANDSTREAM, "worker", "--name", name, "--listen", "127.0.0.1:0", "--", *command],
                    stderr=subprocess.PIPE,
                    text=True,
                )
                processes.append(worker)
                ports.append(wait_address(worker))
            producer = [*RANDSTREAM, "producer", "--workers", ",".join(ports), "--numbers", NUMBERS, "--rate", "max"]
            processes.append(subprocess.Popen([*producer, "--seed", seed], stderr=subprocess.DEVNULL))
            while not all(file.exists() for file in files):
                time.sleep(0.05)
            return sum(int(file.read_text()) for file in files)
        finally:
            for process in reversed(processes):
                process.terminate()
                process.communicate()


def wait_address(worker: subprocess.Popen[str]) -> str:
    """The address that the worker says it listens on."""
    assert worker.stderr is not None
    for line in worker.stderr:
        event = json.loads(line)
        if event["event"] == "worker.listening":
            return str(event["address"])
    raise RuntimeError("a worker did not start")


def recompute(name: str, points: int, seed: str) -> int:
    """The hits of one worker, from the seed alone."""
    x, y = NumberStream(seed, name, NUMBERS).read(0, 2 * points).reshape(-1, 2).T
    return int(np.count_nonzero(x * x + y * y <= 1.0))


if __name__ == "__main__":
    sys.exit(main())
