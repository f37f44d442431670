"""Rollout: applies an overlay and waits until it runs, or says in one line why not. Needs only Python and kubectl.

rollout.py deploy OVERLAY IMAGE    apply it; the seed's Secret is made if there is none
rollout.py scale COMPONENT COUNT   have so many of the producers or workers
rollout.py wait                    until every pod is new and ready
rollout.py status                  what there is, and what is wrong with it
rollout.py clean                   remove all of it, the numbers and the seed too
"""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMESPACE = "randstream"
"""Of all that is done here; check.py has one of its own."""
SECRET = "randstream-seed"  # noqa: S105 - its name
WAIT_SECONDS = 240
"""For volumes, scheduling, a slow start, and each worker in turn when their template changed."""
HOPELESS = {
    "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull", "ErrImagePull",
    "ImageInspectError", "ImagePullBackOff", "InvalidImageName", "RunContainerError",
}  # fmt: skip
"""Reasons that waiting does not cure, unless..."""
SLOW = "timed out waiting for the condition"
"""...the kubelet was too slow for itself, as right after its start: it tries again."""
WORKLOADS = "daemonsets,deployments,statefulsets"
BETWEEN = "\n---\n"
"""Between two manifests."""

Object = dict[str, Any]


class Failed(Exception):
    """What went wrong and how to mend it, in one line."""


def main(arguments: list[str]) -> int:
    """Run one command; the exit status."""
    try:
        match arguments:
            case ["deploy", overlay, image]:
                deploy(overlay, image)
            case ["scale", component, count]:
                scale(component, count)
            case ["wait"]:
                check_cluster()
                wait()
            case ["status"]:
                return show_status()
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
    """Apply an overlay with this image and wait until it runs."""
    manifests = render(overlay, image)
    apply(manifests)
    wait()


def render(overlay: str, image: str, *patches: Object) -> str:
    """The manifests of an overlay with this image. Raises Failed also if no cluster answers."""
    folder = f"deploy/overlays/{overlay}"
    if not Path(folder).is_dir():
        raise Failed(f"There is no {folder}: choose one of deploy/overlays with OVERLAY=.")
    check_cluster()
    manifests = kubectl("kustomize", str(with_image(folder, image, *patches)))
    check_namespace(manifests, folder)
    return manifests


def apply(manifests: str) -> None:
    """Apply manifests, once it is clear that the cluster takes them. The seed's Secret is made if they need one."""
    check_kinds(manifests)
    print("try it without applying it")
    kubectl("apply", "--dry-run=client", "--filename=-", given=manifests)
    for document in manifests.split(BETWEEN):
        if "\nkind: Namespace\n" in document:  # the Secret needs it, and the pods need the Secret
            kubectl("apply", "--filename=-", given=document)
    if SECRET in manifests and not exists("secret", SECRET):
        print(f"make the Secret {SECRET}: a random seed")
        seed = secrets.token_hex(16)
        kubectl("create", "secret", "generic", SECRET, "--from-file=seed=/dev/stdin", given=seed)
    print(kubectl("apply", "--filename=-", given=manifests), end="")


def with_image(folder: str, image: str, *patches: Object) -> Path:
    """A generated overlay over `folder` that runs `image`: the tag follows the content, so no file can hold it."""
    name, _, tag = image.rpartition(":")
    made = Path("build/deploy")
    made.mkdir(parents=True, exist_ok=True)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"../../{folder}"],
        "images": [{"name": "randstream", "newName": name, "newTag": tag}],
        "patches": patches,
    }
    (made / "kustomization.yaml").write_text(json.dumps(kustomization, indent=2) + "\n")
    return made


def check_cluster() -> None:
    """Raises Failed unless a cluster answers."""
    try:
        kubectl("get", "--raw=/version", "--request-timeout=5s")
    except Failed as failure:
        context = run(["kubectl", "config", "current-context"]).stdout.strip() or "none"
        raise Failed(
            f"No Kubernetes cluster answers (context: {context}). Start one, such as with `minikube start`,"
            f" or choose one: kubectl config use-context NAME. ({failure})"
        ) from None


def check_namespace(manifests: str, folder: str) -> None:
    """Raises Failed if the overlay would put anything into another namespace than the one that is waited for."""
    others = set(re.findall(r"^  namespace: (\S+)$", manifests, re.MULTILINE)) - {NAMESPACE}
    if others:
        raise Failed(f"{folder} uses the namespace {', '.join(sorted(others))}; `make` knows only {NAMESPACE}.")


def check_kinds(manifests: str) -> None:
    """Raises Failed if producers or workers of another kind are there: both would be pods of the one Service."""
    for each in get(WORKLOADS):
        kind, name = each["kind"], each["metadata"]["name"]
        if not re.search(rf"^kind: {kind}\nmetadata:\n(  .*\n)*?  name: {name}$", manifests, re.MULTILINE):
            raise Failed(f"The {kind} {name} of another overlay or version is there: make clean first.")


def scale(component: str, count: str) -> None:
    """Have `count` of the producers or workers, and wait until all are ready."""
    if not (count.isascii() and count.isdecimal()):
        target = "scale-producers" if component == "producer" else "scale"
        raise Failed(f"Say how many {component}s: make {target} N={3 if component == 'producer' else 5}")
    check_cluster()
    if not exists("statefulset", component):
        why = "of this overlay are one a node" if exists("daemonset", component) else "are not deployed: make all"
        raise Failed(f"The {component}s {why}.")
    print(kubectl("scale", f"statefulset/{component}", f"--replicas={count}"), end="")
    wait()


def wait() -> None:
    """Wait until every pod is new and ready. Raises Failed as soon as one cannot become so."""
    deadline = time.monotonic() + WAIT_SECONDS
    told = ""
    while True:
        objects = get(f"{WORKLOADS},pods")
        if not objects:
            raise Failed(f"Nothing is deployed in the namespace {NAMESPACE}: make all.")
        behind = [state for each in objects if (state := describe_rollout(each))]
        if not behind:
            print("all pods are ready")
            return
        for pod, why, is_hopeless in troubles(objects, only_new=True):
            if is_hopeless:
                raise Failed(f"{pod} cannot start: {why}")
        if (now := ", ".join(behind)) != told:
            told = now
            print(f"wait for {now}", flush=True)
        if time.monotonic() > deadline:
            why = "; ".join(f"{pod}: {why}" for pod, why, _ in troubles(objects, only_new=True)) or told
            raise Failed(f"Not ready after {WAIT_SECONDS} s: {why}. See `make status`.")
        time.sleep(1)


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
        component = pod["metadata"]["labels"].get("app.kubernetes.io/component", "")
        if only_new and fingerprint(pod["spec"]) != templates.get(component):
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
            advice = " Load the image: make load-images." if "Image" in waiting["reason"] else ""
            message = waiting.get("message", "")
            return f"{waiting['reason']}: {message}{advice}", SLOW not in message
    return last_warning(pod["metadata"]["name"]) or "not ready yet", False


def last_warning(pod: str) -> str | None:
    """The newest warning about a pod, in words for who deploys."""
    selector = f"--field-selector=type=Warning,involvedObject.name={pod}"
    events = json.loads(kubectl("get", "events", selector, "--output=json"))["items"]
    if not events:
        return None
    newest = max(events, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])
    if f'"{SECRET}" not found' in newest["message"]:
        return f"it waits for the Secret {SECRET}, which is missing. `make deploy` makes one with a random seed"
    return " ".join(newest["message"].split())


def show_status() -> int:
    """Print what there is; 1 if something is wrong with it."""
    check_cluster()
    objects = get(f"{WORKLOADS},pods")
    if not objects:
        raise Failed(f"Nothing is deployed in the namespace {NAMESPACE}: make all.")
    print(kubectl("get", f"{WORKLOADS},pods,persistentvolumeclaims", "--output=wide"), end="")
    found = troubles(objects, only_new=False)
    for pod, why, _ in found:
        print(f"{pod}: {why}", file=sys.stderr)
    return 1 if found else 0


def clean() -> None:
    """Delete the namespace and wait until all that was in it is gone."""
    check_cluster()
    done = kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s")
    print(done.strip() or "nothing is deployed")


def exists(kind: str, name: str) -> bool:
    """Whether there is such an object."""
    return bool(kubectl("get", kind, name, "--ignore-not-found", "--output=name"))


def get(kinds: str) -> list[Object]:
    """Our objects of these kinds."""
    answer = kubectl("get", kinds, "--selector=app.kubernetes.io/name=randstream", "--output=json")
    objects: list[Object] = json.loads(answer)["items"]
    return objects


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
