"""Status: what is deployed, what each stream does, and everything that is not right. Needs only Python and kubectl.

status.py    status 1 if something is not right
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import cluster
import rollout
import streams
from cluster import SEED, WORKLOADS, Failed, Object
from lines import printable
from troubles import describe_rollout, last_warning, troubles

RECENT_SECONDS = 3600.0
"""A restart longer ago is history."""
AGAIN_SECONDS = 5.0
"""After which streams are looked at once more: most of what can be wrong with them passes by itself."""
NOT_REACHED = ("waiting", "dialling", "opening")
FULL = 0.9
"""The part of a volume above which a person should know."""


def main() -> int:
    """Show it; the exit status."""
    try:
        objects = cluster.get_deployed(f"{WORKLOADS},pods")
        print(cluster.kubectl("get", f"{WORKLOADS},pods,persistentvolumeclaims", "--output=wide"))
        producers, workers = (running(component, objects) for component in ("producer", "worker"))
        told, of_streams = look(producers, workers)
        if of_streams:
            time.sleep(AGAIN_SECONDS)
            told, of_streams = look(producers, workers)
        if workers:
            print(streams.table({name: told[name] for name in workers}))
        claims: list[Object] = json.loads(cluster.kubectl("get", "persistentvolumeclaims", "--output=json"))["items"]
        found = [
            *wrong_with_pods(objects, datetime.now(UTC)),
            *wrong_with_seed(objects, rollout.seed_version()),
            *wrong_with_volumes(claims),
            *of_streams,
        ]
        print("\n" + "\n".join([*notes_on_volumes(claims, objects), *([] if found else ["all is well"])]))
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for each in found:
        print(printable(each), file=sys.stderr)
    return 1 if found else 0


def look(producers: list[str], workers: list[str]) -> tuple[dict[str, Object], list[str]]:
    """What all of them tell, and what is wrong with that."""
    told = streams.look([*producers, *workers])
    names = {each["links"][0]["worker"] for pod, each in told.items() if pod in workers and "links" in each}
    return told, [
        *(f"{pod}: {why}" for pod in producers for why in wrong_with_producer(told[pod], names)),
        *(f"{pod}: {why}" for pod in workers for why in wrong_with_worker(told[pod], len(producers))),
    ]


def running(component: str, objects: list[Object]) -> list[str]:
    """The pods of a component whose admin server can be asked."""
    found = [each for each in objects if each["kind"] == "Pod" and each["status"].get("phase") == "Running"]
    return cluster.pods_of(component, found)


def wrong_with_pods(objects: list[Object], now: datetime) -> Iterator[str]:
    """Rollouts that are not over, pods that are not ready, containers that were restarted a short time ago."""
    behind = [state for each in objects if (state := describe_rollout(each))]
    if behind:
        yield f"not all is rolled out: {', '.join(behind)}"
    yield from (f"{pod}: {why}" for pod, why, _ in troubles(objects, only_new=False))
    for pod in objects:
        for container in pod["status"].get("containerStatuses", []) if pod["kind"] == "Pod" else []:
            ended = container.get("lastState", {}).get("terminated")
            if not ended or not container["ready"]:  # then troubles() has it
                continue
            seconds = (now - datetime.fromisoformat(ended["finishedAt"].replace("Z", "+00:00"))).total_seconds()
            if seconds < RECENT_SECONDS:
                reason = f"{ended.get('reason', 'it ended')}, status {ended['exitCode']}"
                name = pod["metadata"]["name"]
                yield (
                    f"pod {name}: restarted {container['restartCount']} ×, last {seconds / 60:.0f} min ago"
                    f" ({reason}): kubectl -n {cluster.NAMESPACE} logs {name} --previous"
                )


def wrong_with_seed(objects: list[Object], version: str) -> Iterator[str]:
    """A seed that is missing, or that is not the one that the producers were deployed with."""
    if not version:
        yield f"the Secret {SEED} is missing: no producer can start again. Restore it; `make deploy` draws a new one"
    for each in objects:
        if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "producer":
            annotations = each["spec"]["template"]["metadata"].get("annotations", {})
            if version and annotations.get(rollout.SEED_VERSION, version) != version:
                yield f"the Secret {SEED} has changed since the producers were deployed: make deploy"


def wrong_with_volumes(claims: list[Object]) -> Iterator[str]:
    """Claims that have no volume."""
    for claim in claims:
        phase, name = claim["status"].get("phase"), claim["metadata"]["name"]
        if phase != "Bound":
            yield f"volume claim {name}: {phase}: {last_warning(name) or 'no volume yet'}"


def notes_on_volumes(claims: list[Object], objects: list[Object]) -> Iterator[str]:
    """Claims of workers that are gone: right as they are, but they take room."""
    wanted = {
        f"data-worker-{number}"
        for each in objects
        if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "worker"
        for number in range(each["spec"]["replicas"])
    }
    left = sorted({claim["metadata"]["name"] for claim in claims} - wanted)
    if left:
        yield f"kept, with the numbers of workers that are gone: {', '.join(left)} (docs/operations.md#fewer-workers)"


def wrong_with_producer(told: Object, workers: set[str | None]) -> Iterator[str]:
    """What a producer says is wrong with itself, and with its links to `workers`; others have left."""
    if "failed" in told:
        yield f"it does not answer: {told['failed']}"
        return
    yield from filter(None, (told["problem"], told["warning"]))
    for link in told["links"]:
        if link["state"] in NOT_REACHED and link["worker"] in {None, *workers}:
            why = link.get("reason") or link["error"]
            yield f"it does not reach {link['worker'] or link['peer']}{': ' + why if why else ''}"


def wrong_with_worker(told: Object, producers: int) -> Iterator[str]:
    """What is wrong with a worker's stream, line of standbys and disk."""
    if "failed" in told:
        yield f"it does not answer: {told['failed']}"
        return
    link = told["links"][0]
    yield from filter(None, (told["problem"], told["warning"]))
    why = link.get("reason") or link["error"]
    if link["state"] != "streaming" and why != told["problem"]:
        yield f"its stream stands still ({link['state']}){': ' + why if why else ''}"
    standbys = len(link["standbys"] or ())
    if link["state"] == "streaming" and standbys < producers - 1:
        yield f"only {standbys} of {producers - 1} producers stand by"
    if "disk" in told:
        total, used, free = told["disk"]
        if used > total * FULL:
            yield f"its volume is {used / total:.0%} full, {free / 2**20:.0f} MiB are free"


if __name__ == "__main__":
    sys.exit(main())
