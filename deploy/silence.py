"""Silence: measures how long each worker hears nothing while producers are deleted, killed and restarted.

silence.py [TIMES] [--json]    do each TIMES times (3) to what is deployed; print a table, or each measurement as JSON

A watcher in each worker's pod asks the worker's own admin server how many numbers it has received, and keeps the
longest time without a new one. So neither kubectl nor the way to the cluster is part of what is measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import redirect_stdout

import cluster
import rollout
from cluster import Failed, Object

EVENTS = ("delete", "kill", "restart")
"""What is done: to the pod that most workers listen to, with and without a grace period; to all producers in turn."""
AFTER_SECONDS = 25
"""Watched after all producers are ready again: longer than a worker waits before it goes back to the best of them."""
WATCHER = """
import http.client, json, select, sys, time

LOOK_SECONDS = 0.02
MAX_SECONDS = 600
admin = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)

def look():
    admin.request("GET", "/api/links?limit=1")
    with admin.getresponse() as answer:
        found = json.load(answer)
    return time.monotonic(), found["totals"]["numbers"], found["totals"]["reconnects"], found["links"][0]["peer"]

start, numbers, changes, producer = look()
print(json.dumps({"producer": producer}), flush=True)
heard, longest, now = start, 0.0, start
while now < start + MAX_SECONDS and not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
    before, (now, received, ended, producer) = numbers, look()
    longest = max(longest, now - heard)
    if received > before:
        heard, numbers = now, received
print(json.dumps({"silence": round(longest, 3), "changes": ended - changes, "producer": producer}))
"""
"""It runs with whatever Python the image has, until its standard input ends."""


def main(arguments: list[str]) -> int:
    """Measure everything; the exit status."""
    as_json = "--json" in arguments
    times = [each for each in arguments if each != "--json"] or ["3"]
    if len(times) > 1 or not (times[0].isascii() and times[0].isdecimal()):
        print("Say how often: make silence TIMES=3", file=sys.stderr)
        return 2
    found = []
    try:
        with redirect_stdout(sys.stderr):
            cluster.check()
            rollout.wait()
            for event in EVENTS:
                for _ in range(int(times[0])):
                    found.append(measure(event))
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(found) if as_json else table(found))
    return 0


def measure(event: str) -> Object:
    """Let one event happen while every worker is watched: what it was done to, and what each worker heard."""
    watchers = {name: watch(name) for name in cluster.pods_of("worker", cluster.get("pods"))}
    try:
        heard_by = {worker: answer_of(worker, watcher)["producer"] for worker, watcher in watchers.items()}
        done_to = do(event, chosen(cluster.pods_of("producer", cluster.get("pods")), heard_by))
        rollout.wait()
        time.sleep(AFTER_SECONDS)
        for watcher in watchers.values():
            close_input(watcher)
        return {
            "event": event,
            "done_to": done_to,
            "workers": {worker: answer_of(worker, watcher) for worker, watcher in watchers.items()},
        }
    finally:
        for watcher in watchers.values():
            watcher.kill()
            watcher.communicate()


def watch(worker: str) -> subprocess.Popen[str]:
    """A watcher in the pod of this worker."""
    command = ["kubectl", f"--namespace={cluster.NAMESPACE}", "exec", "--stdin", worker, "--"]
    command += ["python", "-c", WATCHER, "9001"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def answer_of(worker: str, watcher: subprocess.Popen[str]) -> Object:
    """The next line of a watcher."""
    assert watcher.stdout is not None
    line = watcher.stdout.readline()
    if not line:
        raise Failed(f"The watcher in {worker} ended early: see its error above, and `make status`.")
    answer: Object = json.loads(line)
    return answer


def close_input(watcher: subprocess.Popen[str]) -> None:
    """The watcher's sign to end."""
    assert watcher.stdin is not None
    watcher.stdin.close()
    watcher.stdin = None


def chosen(producers: list[str], heard_by: dict[str, str | None]) -> str:
    """The producer that most workers listen to: an event that spares them would measure nothing."""
    if not producers:
        raise Failed("There is no producer: make status.")
    heard = Counter(heard_by.values())
    return max(producers, key=lambda name: heard[name])


def do(event: str, producer: str) -> str:
    """Let it happen, and wait until it has; whom it was done to."""
    print(f"{event} {'the producers' if event == 'restart' else producer}", flush=True)
    if event == "restart":
        [workload] = [
            f"{each['kind']}/{each['metadata']['name']}"
            for each in cluster.get(cluster.WORKLOADS)
            if each["metadata"]["name"] == "producer"
        ]
        cluster.kubectl("rollout", "restart", workload)
        return "all"
    cluster.kubectl("delete", "pod", producer, *(["--grace-period=0", "--force"] if event == "kill" else []))
    return producer


def table(found: list[Object]) -> str:
    """A line for each measurement: each worker's longest silence in seconds, and how often its producer changed."""
    workers = list(found[0]["workers"]) if found else []
    lines = [["event", "done to", *workers]]
    for each in found:
        cells = [f"{heard['silence']:.2f} s ({heard['changes']})" for heard in each["workers"].values()]
        lines.append([each["event"], each["done_to"], *cells])
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*rows, "longest silence (connections of producers that ended meanwhile)"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
