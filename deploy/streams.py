"""Streams: what each worker's stream does now, as the worker itself tells, and the wait until all of them flow."""

from __future__ import annotations

import json
import sys
import time

import cluster
from cluster import Failed, Object
from lines import printable

FLOW_SECONDS = 90
"""Within which numbers flow once all pods are ready: names must have reached DNS, and the producers its answers."""
PAUSE_SECONDS = 0.5
MOST_ROWS = 12
"""Of the table: a screen holds them together with what is said above and below it."""
LOOK = """
import http.client, json, os, shutil, sys, time

LAST = 5
BETWEEN_SECONDS = 1.0
token = os.environ.get("RANDSTREAM_ADMIN_TOKEN_FILE")
headers = {"Authorization": "Bearer " + open(token).read().strip()} if token else {}
store = os.environ.get("RANDSTREAM_STORE")

def ask(path, timeout):
    admin = http.client.HTTPConnection("127.0.0.1", 9001, timeout=timeout)
    admin.request("GET", path, headers=headers)
    return admin.getresponse()

def look():
    with ask("/api/links?limit=10000", 10) as answer:
        return json.load(answer)

def last_numbers(link):
    count = min(LAST, link["acked_offset"] or 0) if store else LAST
    path = f"/numbers?offset={link['acked_offset'] - count}" if store and count else "/numbers"
    found = []
    try:
        with ask(path, 2) as answer:
            while answer.status == 200 and len(found) < count and (line := answer.readline()):
                found += line.decode().split()
    except OSError:
        pass
    return found

before = look()
time.sleep(BETWEEN_SECONDS)
told = look()
told["rate"] = (told["totals"]["numbers"] - before["totals"]["numbers"]) / (told["uptime"] - before["uptime"])
if told["role"] == "worker":
    told["last"] = last_numbers(told["links"][0])
    if store and os.path.exists(os.path.dirname(store)):
        told["disk"] = shutil.disk_usage(os.path.dirname(store))
print(json.dumps(told))
"""
"""It runs in the pod, with whatever Python the image has."""


def look(pods: list[str]) -> dict[str, Object]:
    """What each pod's admin server tells, with `rate` (now), `last` (numbers) and `disk` (the store's); or `failed`."""
    found: dict[str, Object] = {}
    for pod, done in cluster.run_in(pods, "python", "-c", LOOK).items():
        if done.returncode:
            found[pod] = {"failed": done.stderr.strip().rpartition("\n")[2] or f"status {done.returncode}"}
        else:
            found[pod] = json.loads(done.stdout)
    return found


def wait() -> None:
    """Wait until numbers flow to every worker, and show them. Raises Failed if they do not."""
    workers = cluster.pods_of("worker", cluster.get("pods"))
    if not workers or not cluster.pods_of("producer", cluster.get("pods")):
        return
    print("wait until numbers flow", flush=True)
    deadline = time.monotonic() + FLOW_SECONDS
    while True:
        told = look(workers)
        behind = {pod: why for pod, each in told.items() if (why := why_still(each))}
        if not behind:
            break
        if time.monotonic() > deadline:
            pod, why = next(iter(behind.items()))
            count = f"{len(behind)} of {len(workers)} workers"
            raise Failed(f"No numbers reach {count}, such as {pod}: {why}. See `make status`.")
        time.sleep(PAUSE_SECONDS)
    print("\n" + table(told))


def why_still(told: Object) -> str | None:
    """Why no numbers flow to a worker; None: they do."""
    if "failed" in told:
        return str(told["failed"])
    link = told["links"][0]
    if link["state"] != "streaming":
        return f"{link['state']}{', ' + link['error'] if link['error'] else ''}"
    # At a low rate the first number may be an hour away.
    is_slow = told["uptime"] > FLOW_SECONDS / 2
    return None if told["totals"]["numbers"] or link["acked_offset"] or is_slow else "no number yet"


def table(told: dict[str, Object]) -> str:
    """A row for each worker, MOST_ROWS at most."""
    rows = [["worker", "offset", "rate", "producer", "last numbers"]]
    for pod, each in list(told.items())[:MOST_ROWS]:
        if "failed" in each:
            rows.append([pod, "", "", "", f"cannot tell: {each['failed']}"])
            continue
        link = each["links"][0]
        rate = f"{each['rate']:.0f}/s" if each["rate"] >= 9.5 else f"{each['rate']:.1f}/s"
        last = " ".join(each.get("last", [])) or link["error"] or link["state"]
        rows.append([link["worker"] or pod, str(link["offset"]), rate, link["served_by"] or "–", printable(last)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:<{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    left_out = len(told) - MOST_ROWS
    return "\n".join(lines + ([f"and {left_out} more: make status"] if left_out > 0 else []))


if __name__ == "__main__":
    sys.exit(__doc__)
