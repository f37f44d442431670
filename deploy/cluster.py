"""Cluster: the one of the current kubectl context. Everything asked or changed there goes through kubectl here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

NAMESPACE = "randstream"
"""Where everything is; check.py and its workers have one of their own."""
SEED = "randstream-seed"
"""The Secret that holds the seed."""
WORKLOADS = "daemonsets,deployments,statefulsets"
AT_ONCE = 8
"""Pods that are asked at the same time."""

Object = dict[str, Any]


class Failed(Exception):
    """What went wrong and how to mend it, in one line."""


def check() -> None:
    """Raises Failed unless a cluster answers."""
    try:
        kubectl("get", "--raw=/version", "--request-timeout=5s")
    except Failed as failure:
        context = run(["kubectl", "config", "current-context"]).stdout.strip() or "none"
        raise Failed(
            f"No Kubernetes cluster answers (context: {context}). Start one, such as with `minikube start`,"
            f" or choose one: kubectl config use-context NAME. ({failure})"
        ) from None


def exists(kind: str, name: str) -> bool:
    """Whether there is such an object."""
    return bool(kubectl("get", kind, name, "--ignore-not-found", "--output=name"))


def get(kinds: str) -> list[Object]:
    """Our objects of these kinds."""
    answer = kubectl("get", kinds, "--selector=app.kubernetes.io/name=randstream", "--output=json")
    objects: list[Object] = json.loads(answer)["items"]
    return objects


def get_deployed(kinds: str) -> list[Object]:
    """The same. Raises Failed if no cluster answers or nothing is deployed there."""
    check()
    objects = get(kinds)
    if not objects:
        raise Failed(f"Nothing is deployed in the namespace {NAMESPACE}: make all.")
    return objects


def component_of(thing: Object) -> str:
    """`producer`, `worker`, or what else the object's label says."""
    return str(thing["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


def pods_of(component: str, objects: Iterable[Object]) -> list[str]:
    """The names of a component's pods among `objects` that are not being deleted: worker-2 before worker-10."""
    names = [
        str(each["metadata"]["name"])
        for each in objects
        if each["kind"] == "Pod" and component_of(each) == component and "deletionTimestamp" not in each["metadata"]
    ]
    return sorted(names, key=lambda name: (len(name), name))


def run_in(pods: list[str], *command: str, given: str | None = None) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run a command in each of these pods; what came of it, by pod."""

    def run_one(pod: str) -> subprocess.CompletedProcess[str]:
        stdin = [] if given is None else ["--stdin"]
        return run(["kubectl", f"--namespace={NAMESPACE}", "exec", *stdin, pod, "--", *command], given=given)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(pods, pool.map(run_one, pods), strict=True))


def kubectl(*arguments: str, given: str | None = None) -> str:
    """What kubectl prints. Raises Failed with the last line of its complaint."""
    done = run(["kubectl", f"--namespace={NAMESPACE}", *arguments], given=given)
    if done.returncode:
        # kubectl adds the advice to each kind that the cluster does not know.
        advice = "ensure CRDs are installed first"
        complaint = [line for line in done.stderr.splitlines() if line.strip() not in ("", advice)] or ["no word"]
        raise Failed(f"kubectl {arguments[0]} failed: {complaint[-1].strip()}")
    return done.stdout


def run(command: list[str], given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that says little, within a time that is ample."""
    try:
        return subprocess.run(command, input=given, capture_output=True, check=False, text=True, timeout=300)
    except FileNotFoundError:
        raise Failed(f"There is no {command[0]}. Install it, and see that PATH has it.") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command[:3])} gave no answer in 5 minutes.") from None
