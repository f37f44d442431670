"""Rollout: applies an overlay and waits until numbers flow, or says in one line why not. Needs only Python and kubectl.

rollout.py deploy OVERLAY IMAGE    apply it; the seed's Secret is made if there is none
rollout.py scale COMPONENT COUNT   have so many of the producers or workers
rollout.py wait                    until every pod is new and ready
rollout.py clean                   remove all of it, the numbers and the seed too
"""

from __future__ import annotations

import json
import sys
import time

import cluster
import manifests
import streams
from cluster import SEED, WORKLOADS, Failed, Object
from troubles import describe_rollout, troubles

WAIT_SECONDS = 240
"""For volumes, scheduling, a slow start, and each worker in turn when their template changed."""
TELL_SECONDS = 5
"""Between two lines about how far it has come."""
SEED_VERSION = "randstream.io/seed-version"
"""The annotation of the producers' pods by which another seed is another pod. It says nothing about the seed itself."""


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    try:
        match arguments:
            case ["deploy", overlay, image]:
                deploy(overlay, image)
            case ["scale", component, count]:
                scale(component, count)
            case ["wait"]:
                cluster.check()
                wait()
            case ["clean"]:
                clean()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def deploy(overlay: str, image: str) -> None:
    """Apply an overlay, with this image unless it names its own, and wait until numbers flow."""
    manifests.prepare(manifests.render(overlay, image))
    done = manifests.apply(manifests.render(overlay, image, *seed_patches()))
    print(f"apply {manifests.OVERLAYS / overlay}: {done}", flush=True)
    wait()
    streams.wait()


def seed_patches() -> list[Object]:
    """The patch that gives the producers' pods the version of the seed's Secret."""
    version = seed_version()
    metadata = {"annotations": {SEED_VERSION: version}}
    patch = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "producer"},
             "spec": {"template": {"metadata": metadata}}}  # fmt: skip
    target = {"kind": "StatefulSet", "name": "producer"}
    return [{"target": target, "patch": json.dumps(patch)}] if version else []


def seed_version() -> str:
    """What changes whenever the seed's Secret does; empty if there is none."""
    return cluster.kubectl("get", "secret", SEED, "--ignore-not-found", "--output=jsonpath={.metadata.resourceVersion}")


def scale(component: str, count: str) -> None:
    """Have `count` of the producers or workers, and wait until all are ready."""
    if not (count.isascii() and count.isdecimal()):
        target = "scale-producers" if component == "producer" else "scale"
        raise Failed(f"Say how many {component}s: make {target} N={3 if component == 'producer' else 5}")
    cluster.check()
    if not cluster.exists("statefulset", component):
        is_on_nodes = cluster.exists("daemonset", component)
        why = "of this overlay are one a node" if is_on_nodes else "are not deployed: make all"
        raise Failed(f"The {component}s {why}.")
    print(cluster.kubectl("scale", f"statefulset/{component}", f"--replicas={count}"), end="")
    wait()


def wait() -> None:
    """Wait until every pod is new and ready. Raises Failed as soon as one cannot become so."""
    deadline = time.monotonic() + WAIT_SECONDS
    told, tell = "", 0.0
    while True:
        objects = cluster.get(f"{WORKLOADS},pods")
        if not objects:
            raise Failed(f"Nothing is deployed in the namespace {cluster.NAMESPACE}: make all.")
        behind = [state for each in objects if (state := describe_rollout(each))]
        if not behind:
            print("all pods are ready", flush=True)
            return
        for pod, why, is_hopeless in troubles(objects, only_new=True):
            if is_hopeless:
                raise Failed(f"{pod} cannot start: {why}")
        if (now := ", ".join(behind)) != told and time.monotonic() >= tell:
            told = now
            tell = time.monotonic() + TELL_SECONDS
            print(f"wait for {now}", flush=True)
        if time.monotonic() > deadline:
            why = "; ".join(f"{pod}: {why}" for pod, why, _ in troubles(objects, only_new=True)) or told
            raise Failed(f"Not ready after {WAIT_SECONDS} s: {why}. See `make status`.")
        time.sleep(1)


def clean() -> None:
    """Delete the namespace and wait until all that was in it is gone."""
    cluster.check()
    done = cluster.kubectl("delete", "namespace", cluster.NAMESPACE, "--ignore-not-found", "--timeout=180s")
    print(done.strip() or "nothing is deployed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
