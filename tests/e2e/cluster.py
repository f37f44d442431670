"""Cluster: the deployment in a real cluster, through kubectl and make, and the check of every store."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
NAMESPACE: Final = "randstream"
OURS: Final = "--selector=app.kubernetes.io/name=randstream"
PATIENCE: Final = 90.0
"""Seconds after which a test gives up on what it waits for."""

Done = subprocess.CompletedProcess[str]

log = logging.getLogger("e2e")


def run(
    *command: str, given: str | None = None, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=900, cwd=ROOT,
        env={**os.environ, **environment},
    )  # fmt: skip
    if check and done.returncode:
        raise AssertionError(
            f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done


def make(*arguments: str, check: bool = True, **environment: str) -> Done:
    log.info("make %s", " ".join(arguments))
    return run("make", "--no-print-directory", *arguments, check=check, **environment)


def remove() -> None:
    """What `make clean` does, but for the images: to build them again takes a minute."""
    run("python3", "deploy/rollout.py", "clean")


def kubectl(*arguments: str, given: str | None = None, namespace: str = NAMESPACE, check: bool = True) -> str:
    return run("kubectl", f"--namespace={namespace}", *arguments, given=given, check=check).stdout


def objects(kinds: str, *selection: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kubectl("get", kinds, *selection, "--output=json"))["items"]
    return found


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    deadline = time.monotonic() + patience
    while not (held := condition()):
        assert time.monotonic() < deadline, f"never came true within {patience:g} s: {what}"
        time.sleep(0.5)
    return held


def pods(component: str | None = None) -> dict[str, dict[str, Any]]:
    """Our pods that are not being deleted, by name."""
    selection = OURS + (f",app.kubernetes.io/component={component}" if component else "")
    return {
        pod["metadata"]["name"]: pod for pod in objects("pods", selection) if "deletionTimestamp" not in pod["metadata"]
    }


def delete_pods(*names: str, by_force: bool = False) -> None:
    """Delete pods, and wait until they are gone. On a busy machine kubectl may wait for ever after that."""
    given = {pods()[name]["metadata"]["uid"] for name in names}
    kubectl("delete", "pod", *names, "--wait=false", *(["--grace-period=0", "--force"] if by_force else []))
    until(lambda: not given & {pod["metadata"]["uid"] for pod in objects("pods", OURS)}, f"{', '.join(names)} gone")


def workers() -> list[str]:
    return sorted(pods("worker"))


def image() -> str:
    """The image that is deployed."""
    [producers] = objects("statefulsets", OURS + ",app.kubernetes.io/component=producer")
    name: str = producers["spec"]["template"]["spec"]["containers"][0]["image"]
    return name


def tag() -> str:
    """The argument of `make` that keeps the deployed tag, whatever was edited since."""
    return "TAG=" + image().rpartition(":")[2]


def logs(pod: str, *more: str) -> list[dict[str, Any]]:
    """The log of a pod. Every line must be JSON."""
    lines = kubectl("logs", pod, *more).splitlines()
    return [json.loads(line) for line in lines]


def link(worker: str) -> dict[str, Any]:
    """A worker's link, as it tells it itself."""
    found: dict[str, Any] = json.loads(fetch(worker, "/api/links?interruptions=100"))["links"][0]
    return found


def fetch(pod: str, path: str) -> str:
    """What the admin server of `pod` answers."""
    ask = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:9001{path}').read().decode())"
    return kubectl("exec", pod, "--", "python", "-c", ask)


def best_of(worker: str, producers: list[str]) -> str:
    """The rule `rank`, once more."""

    def score(producer: str) -> bytes:
        return blake2b(f"randstream-rank/1\n{worker}\n{producer}\n".encode(), digest_size=8).digest()

    return max(producers, key=score)


def served() -> dict[str, str]:
    """Which producer each worker listens to."""
    return {worker: link(worker)["peer"] for worker in workers()}


def wait_served_by_the_best_of(producers: list[str]) -> None:
    """A worker goes back to a better producer only when both have been there for a while."""
    best = {worker: best_of(worker, producers) for worker in workers()}
    until(lambda: served() == best, f"each worker has the best of {producers}")


def seed() -> str:
    return b64decode(kubectl("get", "secret", "randstream-seed", "--output=jsonpath={.data.seed}")).decode()


def verify(worker: str) -> dict[str, Any] | None:
    """What `verify` reports of a worker's store, with the seed, which the pod does not have. None: there is no pod."""
    done = run(
        "kubectl", f"--namespace={NAMESPACE}", "exec", "--stdin", worker, "--",
        "python", "-m", "randstream", "verify", "/data/store", "--seed-file", "-", "--json",
        given=seed(), check=False,
    )  # fmt: skip
    if not done.stdout.startswith("{"):
        log.info("%s cannot tell now: %s", worker, done.stderr.strip().rpartition("\n")[2])
        return None
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def end_of_store(worker: str) -> int:
    """The offset up to which a worker's store is an exact prefix of its stream; 0 while there is no store."""
    report = until(lambda: verify(worker), f"{worker} answers")
    assert report["ok"], report
    assert report["with_seed"], report
    for stream in report["streams"]:
        assert stream["opened"]["worker"] == worker, report
        assert stream["first_offset"] == 0, report
        assert stream["damage"] is None, report
    assert len(report["streams"]) <= 1, report
    return int(report["count"])


def _end_beyond(worker: str, start: int) -> int:
    """The end of a worker's store; 0 if that is not beyond `start`."""
    end = end_of_store(worker)
    return end if end > start else 0


def prove(before: dict[str, int] | None = None) -> dict[str, int]:
    """Check that every worker's store is exact, beyond `before` and still growing, and that no pod was restarted."""
    ends = {worker: end_of_store(worker) for worker in workers()}
    for worker, end in ends.items():
        start = max(end, (before or {}).get(worker, 0))
        ends[worker] = until(partial(_end_beyond, worker, start), f"{worker} goes on")
    log.info("exact and growing: %s", ", ".join(f"{worker} {end}" for worker, end in ends.items()))
    for name, pod in pods().items():
        for status in pod["status"].get("containerStatuses", []):
            assert status["restartCount"] == 0, (name, status)
    killed = [
        event["message"] for event in objects("events") if event["reason"] == "Killing" and "probe" in event["message"]
    ]
    assert not killed, killed
    return ends


def attempts(labels: dict[str, str], *targets: tuple[str, int], namespace: str = NAMESPACE) -> list[bool]:
    """Which of `targets` a pod with these labels can connect to."""
    name = f"attempt-{time.monotonic_ns() % 10**9}"
    script = f"""
import socket
for target in {list(targets)!r}:
    try:
        socket.create_connection(target, 3).close()
    except OSError as error:
        print(False, error, flush=True)
    else:
        print(True, flush=True)
"""
    container = {
        "name": name, "image": image(), "imagePullPolicy": "IfNotPresent", "command": ["python", "-c", script],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
                            "seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]},
    }  # fmt: skip
    kubectl("create", "--filename=-", given=json.dumps(pod), namespace=namespace)
    try:
        phase = "--output=jsonpath={.status.phase}"
        until(lambda: kubectl("get", "pod", name, phase, namespace=namespace) == "Succeeded", f"{name} ends")
        said = kubectl("logs", name, namespace=namespace).splitlines()
    finally:
        kubectl("delete", "pod", name, "--wait=false", namespace=namespace)
    assert len(said) == len(targets), said
    return [line == "True" for line in said]


@contextmanager
def other_namespace(name: str) -> Iterator[str]:
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--timeout=120s")
