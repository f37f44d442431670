"""Proof: every store, number by number, in its worker's pod, with the Secret's seed. Needs only Python and kubectl.

proof.py [--json]    a line for each stream, or what `randstream verify` reports as JSON; status 1 unless all hold
"""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode

import cluster
from cluster import SEED, Failed, Object

VERIFY = """
import os, sys
store = os.environ.get("RANDSTREAM_STORE")
if not store:
    sys.exit(3)
os.execv(sys.executable, [sys.executable, "-m", "randstream", "verify", store, "--seed-file", "-", *sys.argv[1:]])
"""
NO_STORE = 3


def main(arguments: list[str]) -> int:
    """Prove every store; the exit status."""
    as_json = arguments == ["--json"]
    if arguments and not as_json:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        pods = cluster.pods_of("worker", cluster.get_deployed("pods"))
        told = cluster.run_in(pods, "python", "-c", VERIFY, *(["--json"] if as_json else []), given=get_seed())
        if told and all(done.returncode == NO_STORE for done in told.values()):
            raise Failed("These workers keep no store: there is nothing to prove.")
        return show_json(told) if as_json else show(told)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def get_seed() -> str:
    """The seed in the Secret. It goes to `verify` by standard input, which no process list shows."""
    held = cluster.kubectl("get", "secret", SEED, "--ignore-not-found", "--output=jsonpath={.data.seed}")
    if not held:
        raise Failed(f"There is no Secret {SEED} with a seed: what is stored can only be proved with it.")
    return b64decode(held).decode()


def show(told: dict[str, subprocess.CompletedProcess[str]]) -> int:
    """Print what was found in each store; the exit status."""
    width = max(map(len, told), default=0)
    failed = []
    for pod, done in told.items():
        said = done.stdout if done.returncode in (0, 1) and done.stdout else done.stderr
        for number, line in enumerate(said.splitlines()):
            print(f"{'' if number else pod:<{width}}  {line}")
        if done.returncode:
            failed.append(pod)
    if failed or not told:
        print(f"NOT PROVED: {', '.join(failed) or 'there is no worker'}", file=sys.stderr)
        return 1
    print(f"PROVED: all {len(told)} stores hold exactly what the seed in the Secret {SEED} makes")
    return 0


def show_json(told: dict[str, subprocess.CompletedProcess[str]]) -> int:
    """Print one object, by pod."""
    reports: Object = {
        pod: json.loads(done.stdout) if done.stdout.startswith("{") else {"ok": False, "error": done.stderr.strip()}
        for pod, done in told.items()
    }
    print(json.dumps(reports))
    return 0 if told and all(report["ok"] for report in reports.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
