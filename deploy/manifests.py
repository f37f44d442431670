"""Manifests: what an overlay renders, with an image, and whether the cluster can take it."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections import Counter
from pathlib import Path

import cluster
from cluster import SEED, Failed, Object

OVERLAYS = Path("deploy/overlays")
MADE = Path("build/deploy")
UNSET = "unset.invalid/randstream"
"""The image of an overlay that names none."""
BETWEEN = "\n---\n"
"""Between two manifests."""


def render(overlay: str, image: str, *patches: Object) -> str:
    """The manifests of an overlay, with this image unless it names its own. Raises Failed, also without a cluster."""
    folder = OVERLAYS / overlay
    if not folder.is_dir():
        raise Failed(f"There is no {folder}: choose one of {OVERLAYS} with OVERLAY=, or give the path of your own.")
    cluster.check()
    has_image = f"image: {UNSET}\n" not in cluster.kubectl("kustomize", str(folder))
    manifests = cluster.kubectl("kustomize", str(make_overlay(folder, None if has_image else image, *patches)))
    check_namespace(manifests, folder)
    if not has_image:
        check_image(manifests, overlay, image)
    return manifests


def make_overlay(folder: Path, image: str | None, *patches: Object) -> Path:
    """An overlay over `folder` that runs `image`: the tag follows the content, so no file can hold it."""
    MADE.mkdir(parents=True, exist_ok=True)
    kustomization: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(folder, MADE)],
        "patches": patches,
    }
    if image is not None:
        repository, version = split_image(image)
        kustomization["images"] = [{"name": UNSET, "newName": repository, **version}]
        # A digest has characters, and a length, that no label may have.
        pairs = {"app.kubernetes.io/version": next(iter(version.values())).removeprefix("sha256:")[:63]}
        # Not includeTemplates: that means volumeClaimTemplates too, which can never be changed.
        fields = [{"kind": kind, "path": "spec/template/metadata/labels"} for kind in ("StatefulSet", "DaemonSet")]
        kustomization["labels"] = [{"pairs": pairs, "fields": fields}]
    (MADE / "kustomization.yaml").write_text(json.dumps(kustomization, indent=2) + "\n")
    return MADE


def split_image(image: str) -> tuple[str, dict[str, str]]:
    """An image's repository, and its digest or tag as Kustomize takes it."""
    name, at, digest = image.partition("@")
    if at:
        return name, {"digest": digest}
    name, _, tag = image.rpartition(":")
    return name, {"newTag": tag}


def check_image(manifests: str, overlay: str, image: str) -> None:
    """Raises Failed if the nodes would pull an image that is in no registry: a stranger's could have its name."""
    host, slash, _ = image.partition("/")
    names_registry = bool(slash) and (host == "localhost" or "." in host or ":" in host)
    if os.environ.get("CLUSTER") == "none" and not names_registry and "imagePullPolicy: Never" not in manifests:
        raise Failed(
            f"The nodes pull the image of {OVERLAYS / overlay}, and {image} names no registry: make deploy CLUSTER=none"
            f" OVERLAY={overlay} IMAGE=registry.example.org/team/randstream (docs/kubernetes.md)"
        )


def check_namespace(manifests: str, folder: Path) -> None:
    """Raises Failed if the overlay would put anything into another namespace than the one that is waited for."""
    others = set(re.findall(r"^  namespace: (\S+)$", manifests, re.MULTILINE)) - {cluster.NAMESPACE}
    if others:
        raise Failed(f"{folder} uses the namespace {', '.join(sorted(others))}; `make` knows only {cluster.NAMESPACE}.")


def check_kinds(manifests: str) -> None:
    """Raises Failed if producers or workers of another kind are there: both would be pods of the one Service."""
    for each in cluster.get(cluster.WORKLOADS):
        kind, name = each["kind"], each["metadata"]["name"]
        if not re.search(rf"^kind: {kind}\nmetadata:\n(  .*\n)*?  name: {name}$", manifests, re.MULTILINE):
            raise Failed(f"The {kind} {name} of another overlay or version is there: make clean first.")


def check_certificates(manifests: str) -> None:
    """Raises Failed if pods would wait for a certificate that nobody makes."""
    for name in re.findall(r"^ +- secret:\n +name: (\S+)$", manifests, re.MULTILINE):
        is_issued = f"\n  secretName: {name}\n" in manifests
        if not is_issued and not cluster.exists("secret", name):
            raise Failed(
                f"There is no Secret {name}: `make certificates` makes one for a first try; what it must hold is in"
                " docs/kubernetes.md."
            )


def prepare(manifests: str) -> None:
    """Check that the cluster takes these manifests, and have what they need: the namespace, and a seed."""
    check_kinds(manifests)
    check_certificates(manifests)
    cluster.kubectl("apply", "--dry-run=client", "--filename=-", given=manifests)
    for document in manifests.split(BETWEEN):
        if "\nkind: Namespace\n" in document:  # the Secret needs it, and the pods need the Secret
            cluster.kubectl("apply", "--filename=-", given=document)
    if f"secretName: {SEED}\n" in manifests and not cluster.exists("secret", SEED):
        print(f"make the Secret {SEED}: a random seed")
        seed = secrets.token_hex(16)
        cluster.kubectl("create", "secret", "generic", SEED, "--from-file=seed=/dev/stdin", given=seed)


def apply(manifests: str) -> str:
    """Apply manifests; how many objects were created, changed or left as they were, in words."""
    done = [line.split() for line in cluster.kubectl("apply", "--filename=-", given=manifests).splitlines()]
    counts = Counter(words[-1] for words in done if len(words) == 2)
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "nothing to apply"
