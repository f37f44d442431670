"""Troubles: how far a rollout has come, and why a pod is not ready, in words for whoever deploys."""

from __future__ import annotations

import json

import cluster
from cluster import SEED, Object, component_of
from manifests import UNSET

HOPELESS = {
    "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull", "ErrImagePull",
    "ImageInspectError", "ImagePullBackOff", "InvalidImageName", "RunContainerError",
}  # fmt: skip
"""Reasons that waiting does not cure, unless..."""
SLOW = "timed out waiting for the condition"
"""...the kubelet was too slow for itself, as right after its start: it tries again."""


def describe_rollout(workload: Object) -> str | None:
    """How far a workload has come; None: it is there, or is none."""
    status = workload["status"]
    match workload["kind"]:
        case "Pod":
            return None
        case "DaemonSet":
            wanted = status.get("desiredNumberScheduled", 0)
            names = ("currentNumberScheduled", "updatedNumberScheduled", "numberReady")
        case _:
            wanted = workload["spec"]["replicas"]
            names = ("replicas", "updatedReplicas", "readyReplicas")
    seen = status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
    counts = [status.get(name, 0) for name in names]
    if seen and counts == [wanted] * 3:
        return None
    return f"{workload['metadata']['name']} ({counts[1]} of {wanted} new, {counts[2]} ready)"


def troubles(objects: list[Object], *, only_new: bool) -> list[tuple[str, str, bool]]:
    """Pods that are not ready: name, why, and whether that is for good. `only_new`: not those about to be replaced."""
    templates = {
        each["metadata"]["name"]: fingerprint(each["spec"]["template"]["spec"])
        for each in objects
        if each["kind"] != "Pod"
    }
    found = []
    for pod in objects:
        if pod["kind"] != "Pod" or "deletionTimestamp" in pod["metadata"]:
            continue
        if only_new and fingerprint(pod["spec"]) != templates.get(component_of(pod)):
            continue
        why = trouble_of(pod)
        if why is not None:
            found.append((f"pod {pod['metadata']['name']}", *why))
    return found


def fingerprint(spec: Object) -> str:
    """What of a pod's specification changes with the image and the settings."""
    container = spec["containers"][0]
    return json.dumps([container["image"], container.get("envFrom"), container.get("env")])


def trouble_of(pod: Object) -> tuple[str, bool] | None:
    """Why a pod is not ready, and whether that is for good; None: it is ready."""
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    if conditions.get("Ready") == "True":
        return None
    for status in pod["status"].get("containerStatuses", []):
        waiting = status["state"].get("waiting", {})
        ended = status["state"].get("terminated") or status.get("lastState", {}).get("terminated") or {}
        if ended.get("exitCode"):
            last_line = (ended.get("message") or "").strip().rpartition("\n")[2]
            # 2: a setting cannot be used. Another may pass, unless it comes again and again.
            is_hopeless = ended["exitCode"] == 2 or waiting.get("reason") in HOPELESS
            return f"it ended with status {ended['exitCode']}: {last_line or ended.get('reason')}", is_hopeless
        if waiting.get("reason") in HOPELESS:
            message = waiting.get("message", "")
            return f"{waiting['reason']}: {message}{advice_on(waiting['reason'], pod)}", SLOW not in message
    return last_warning(pod["metadata"]["name"]) or "not ready yet", False


def advice_on(reason: str, pod: Object) -> str:
    """What to do about a container that cannot start."""
    if pod["spec"]["containers"][0]["image"].startswith(UNSET):
        return " Name an image in your overlay, under `images`: docs/kubernetes.md."
    return " Load the image: make load-images." if "Image" in reason else ""


def last_warning(name: str) -> str | None:
    """The newest warning about an object of this name, in words for whoever deploys."""
    selector = f"--field-selector=type=Warning,involvedObject.name={name}"
    events = json.loads(cluster.kubectl("get", "events", selector, "--output=json"))["items"]
    if not events:
        return None
    newest = max(events, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])
    if f'"{SEED}" not found' in newest["message"]:
        return f"it waits for the Secret {SEED}, which is missing. `make deploy` makes one with a random seed"
    return " ".join(newest["message"].split())
