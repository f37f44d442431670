"""deploy/rollout.py, manifests.py and troubles.py: what is applied, waited for and told. Needs no cluster."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.project.scripts import ROOT, kustomize, load

cluster = load("cluster")
manifests = load("manifests")
rollout = load("rollout")
troubles = load("troubles")


def a_pod(name: str = "worker-0", *, image: str = "randstream:new", **status: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/component": name.rpartition("-")[0]}},
        "spec": {"containers": [{"image": image}]},
        "status": {"conditions": [{"type": "Ready", "status": "False"}], **status},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"state": state}]}


def a_stateful_set(**status: int) -> dict[str, Any]:
    template = {"spec": {"containers": [{"image": "randstream:new"}]}}
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "worker", "generation": 2},
        "spec": {"replicas": 3, "template": template},
        "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, **status},
    }


def a_daemon_set(**status: int) -> dict[str, Any]:
    status = {"observedGeneration": 1, "currentNumberScheduled": 2, "desiredNumberScheduled": 2, **status}
    return {"kind": "DaemonSet", "metadata": {"name": "worker", "generation": 1}, "spec": {}, "status": status}


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `kubectl get events` shows."""
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(cluster, "kubectl", lambda *arguments, **more: json.dumps({"items": shown}))
    return shown


def test_a_rollout_is_over_when_every_replica_is_new_and_ready() -> None:
    assert troubles.describe_rollout(a_stateful_set()) is None
    assert troubles.describe_rollout(a_stateful_set(readyReplicas=1)) == "worker (3 of 3 new, 1 ready)"
    assert troubles.describe_rollout(a_stateful_set(updatedReplicas=1)) == "worker (1 of 3 new, 3 ready)"
    assert troubles.describe_rollout(a_stateful_set(replicas=4)) is not None
    assert troubles.describe_rollout(a_stateful_set(observedGeneration=1)) is not None


def test_a_rollout_on_every_node_is_over_when_each_has_a_new_worker_that_is_ready() -> None:
    assert troubles.describe_rollout(a_daemon_set(updatedNumberScheduled=2, numberReady=2)) is None
    assert troubles.describe_rollout(a_daemon_set(updatedNumberScheduled=1)) == "worker (1 of 2 new, 0 ready)"
    assert troubles.describe_rollout(a_daemon_set(observedGeneration=0)) == "worker (0 of 2 new, 0 ready)"


def test_workers_of_another_kind_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    def rendered(worker: str) -> str:
        producer = "kind: StatefulSet\nmetadata:\n  name: producer\nspec: {}\n"
        return f"{producer}---\nkind: {worker}\nmetadata:\n  labels:\n    a: b\n  name: worker\nspec: {{}}\n"

    monkeypatch.setattr(cluster, "get", lambda kinds: [a_stateful_set()])
    manifests.check_kinds(rendered("StatefulSet"))
    told = "The StatefulSet worker of another overlay or version is there: make clean first."
    with pytest.raises(cluster.Failed, match=f"^{told}$"):
        manifests.check_kinds(rendered("DaemonSet"))


@pytest.mark.parametrize(
    ("component", "deployed", "told"),
    [
        ("worker", "daemonset", "The workers of this overlay are one a node."),
        ("producer", "", "The producers are not deployed: make all."),
    ],
)
def test_what_cannot_be_scaled_is_told(
    monkeypatch: pytest.MonkeyPatch, component: str, deployed: str, told: str
) -> None:
    monkeypatch.setattr(cluster, "check", lambda: None)
    monkeypatch.setattr(cluster, "exists", lambda kind, name: kind == deployed)
    with pytest.raises(cluster.Failed, match=f"^{told}$"):
        rollout.scale(component, "3")


def test_scaling_waits_until_all_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def record(*arguments: str) -> str:
        called.append(" ".join(arguments))
        return ""

    monkeypatch.setattr(cluster, "check", lambda: None)
    monkeypatch.setattr(cluster, "exists", lambda kind, name: kind == "statefulset")
    monkeypatch.setattr(cluster, "kubectl", record)
    monkeypatch.setattr(rollout, "wait", lambda: called.append("wait"))
    assert rollout.main(["scale", "producer", "3"]) == 0
    assert called == ["scale statefulset/producer --replicas=3", "wait"]


def test_a_ready_pod_is_no_trouble() -> None:
    assert troubles.trouble_of(a_pod(conditions=[{"type": "Ready", "status": "True"}])) is None


def test_a_wrong_setting_is_hopeless_and_told_in_its_own_words() -> None:
    told = "randstream: RANDSTREAM_RAET is no setting; did you mean RANDSTREAM_RATE?"
    ended = {"exitCode": 2, "message": f"...\n{told}\n"}
    assert troubles.trouble_of(a_pod(**container(terminated=ended))) == (
        f"it ended with status 2: {told}", True,
    )  # fmt: skip


def test_one_crash_may_pass_but_repeated_ones_are_hopeless() -> None:
    again: dict[str, Any] = {
        "containerStatuses": [{"state": {}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]
    }
    assert troubles.trouble_of(a_pod(**again)) == ("it ended with status 1: Error", False)
    again["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert troubles.trouble_of(a_pod(**again)) == ("it ended with status 1: Error", True)


def test_an_image_that_is_not_there_is_hopeless_and_says_how_to_load_it() -> None:
    why, is_hopeless = troubles.trouble_of(
        a_pod(**container(waiting={"reason": "ErrImageNeverPull", "message": "no."}))
    )
    assert is_hopeless
    assert why == "ErrImageNeverPull: no. Load the image: make load-images."


def test_a_pod_whose_configuration_the_kubelet_has_not_synced_yet_is_waited_for() -> None:
    message = "failed to sync configmap cache: timed out waiting for the condition"
    slow = a_pod(**container(waiting={"reason": "CreateContainerConfigError", "message": message}))
    assert troubles.trouble_of(slow) == (f"CreateContainerConfigError: {message}", False)


def test_a_missing_secret_is_named_and_may_still_come(events: list[dict[str, Any]]) -> None:
    events.append({
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "message": 'MountVolume.SetUp failed for volume "seed" : secret "randstream-seed" not found',
    })  # fmt: skip
    why, is_hopeless = troubles.trouble_of(a_pod(**container(waiting={"reason": "ContainerCreating"})))
    assert not is_hopeless
    assert why.startswith("it waits for the Secret randstream-seed, which is missing.")


def test_the_newest_warning_explains_a_pod_that_waits(events: list[dict[str, Any]]) -> None:
    for second, message in ((2, "0/1 nodes:\n  Insufficient cpu."), (1, "older")):
        events.append({"metadata": {}, "lastTimestamp": f"2026-01-01T00:00:0{second}Z", "message": message})
    assert troubles.trouble_of(a_pod()) == ("0/1 nodes: Insufficient cpu.", False)
    events.clear()
    assert troubles.trouble_of(a_pod()) == ("not ready yet", False)


def test_pods_about_to_be_replaced_or_gone_are_not_waited_for() -> None:
    crashed = container(terminated={"exitCode": 2, "message": "bad"})
    old, new, going = (
        a_pod(image="randstream:old", **crashed),
        a_pod("worker-1", **crashed),
        a_pod("worker-2", **crashed),
    )
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    objects = [a_stateful_set(), old, new, going]
    assert [pod for pod, *_ in troubles.troubles(objects, only_new=True)] == ["pod worker-1"]
    assert [pod for pod, *_ in troubles.troubles(objects, only_new=False)] == ["pod worker-0", "pod worker-1"]


def test_an_overlay_elsewhere_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cluster, "check", lambda: None)
    monkeypatch.setattr(cluster, "kubectl", lambda *arguments, **more: "metadata:\n  namespace: elsewhere\n")
    monkeypatch.setattr(manifests, "make_overlay", lambda folder, image: folder)
    assert rollout.main(["deploy", "minikube", "randstream:1"]) == 1
    assert "uses the namespace elsewhere" in capsys.readouterr().err


def test_a_kind_that_the_cluster_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told = 'error: no matches for kind "PodDisruptionBudget" in version "policy/v1"'
    done = subprocess.CompletedProcess([], 1, "", f"{told}\nensure CRDs are installed first\n")
    monkeypatch.setattr(cluster, "run", lambda command, given: done)
    with pytest.raises(
        cluster.Failed, match=r'^kubectl apply failed: .* "PodDisruptionBudget" in version "policy/v1"$'
    ):
        cluster.kubectl("apply")


@pytest.mark.parametrize(
    ("image", "override", "version"),
    [
        ("r.example:5000/a/b:abc", {"newName": "r.example:5000/a/b", "newTag": "abc"}, "abc"),
        ("r.example/a@sha256:" + "0" * 64, {"newName": "r.example/a", "digest": "sha256:" + "0" * 64}, "0" * 63),
        ("randstream:abc", {"newName": "randstream", "newTag": "abc"}, "abc"),
    ],
)
def test_the_image_that_is_given_is_deployed_and_its_version_is_a_label(
    image: str, override: dict[str, str], version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = manifests.make_overlay(Path("deploy/overlays/minikube"), image)
    kustomization = json.loads((made / "kustomization.yaml").read_text())
    assert kustomization["resources"] == ["../../deploy/overlays/minikube"]
    assert kustomization["images"] == [{"name": "unset.invalid/randstream", **override}]
    assert [each["pairs"] for each in kustomization["labels"]] == [{"app.kubernetes.io/version": version}]


def test_another_version_changes_pods_and_nothing_that_can_never_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (
        kustomize(manifests.make_overlay(ROOT / "deploy" / "overlays" / "minikube", f"randstream:{tag}"))
        for tag in ("first", "second")
    )
    for before, after in zip(first, second, strict=True):
        assert before.replace(": first", ": second").replace("randstream:first", "randstream:second") == after
        if "kind: StatefulSet\n" in before:
            assert before.count("app.kubernetes.io/version: first\n") == 2  # of itself and of its pods
            assert "kubernetes.io/version" not in before.partition("volumeClaimTemplates:")[2]


def rendering(monkeypatch: pytest.MonkeyPatch, *, image: str, policy: str = "IfNotPresent") -> None:
    """Have every overlay run `image`."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cluster, "check", lambda: None)
    pod = f"    image: {image}\n    imagePullPolicy: {policy}\n"
    monkeypatch.setattr(cluster, "kubectl", lambda *arguments, **more: pod)
    monkeypatch.setattr(manifests, "make_overlay", lambda folder, image, *patches: folder)


@pytest.mark.parametrize(
    ("image", "where", "is_taken"),
    [
        ("randstream:abc", "none", False),
        ("team/randstream:abc", "none", False),
        ("registry.example.org/randstream:abc", "none", True),
        ("localhost:5000/randstream:abc", "none", True),
        ("randstream:abc", "kind", True),
    ],
)
def test_an_image_that_the_nodes_pull_names_its_registry(
    image: str, where: str, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendering(monkeypatch, image="unset.invalid/randstream")
    monkeypatch.setenv("CLUSTER", where)
    if is_taken:
        manifests.render("production", image)
        return
    with pytest.raises(cluster.Failed, match=rf"overlays/production, and {image} names no registry: make .* IMAGE="):
        manifests.render("production", image)


def test_where_nothing_is_pulled_any_name_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    rendering(monkeypatch, image="unset.invalid/randstream", policy="Never")
    monkeypatch.setenv("CLUSTER", "none")
    manifests.render("minikube", "randstream:abc")


def test_an_overlay_that_names_its_image_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rendering(monkeypatch, image="registry.example.org/randstream@sha256:1")
    monkeypatch.setenv("CLUSTER", "none")
    images: list[str | None] = []

    def record(folder: Path, image: str | None, *patches: object) -> Path:
        images.append(image)
        return folder

    monkeypatch.setattr(manifests, "make_overlay", record)
    manifests.render("production", "randstream:abc")
    assert images == [None]


def test_a_pod_whose_image_was_never_named_says_so() -> None:
    unset = a_pod(image="unset.invalid/randstream", **container(waiting={"reason": "ErrImagePull", "message": "no."}))
    why, _ = troubles.trouble_of(unset)
    assert why == "ErrImagePull: no. Name an image in your overlay, under `images`: docs/kubernetes.md."


def test_a_certificate_that_is_neither_there_nor_issued_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = "          - secret:\n              name: worker-tls\n"
    monkeypatch.setattr(cluster, "exists", lambda kind, name: False)
    manifests.check_certificates(f"{pod}---\nkind: Certificate\nspec:\n  secretName: worker-tls\n")
    with pytest.raises(cluster.Failed, match=r"^There is no Secret worker-tls: `make certificates` makes one"):
        manifests.check_certificates(pod)
    monkeypatch.setattr(cluster, "exists", lambda kind, name: True)
    manifests.check_certificates(pod)


def test_what_was_applied_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "namespace/randstream unchanged\nservice/worker created\nservice/producer created\nWarning: three words\n"
    monkeypatch.setattr(cluster, "kubectl", lambda *arguments, **more: said)
    assert manifests.apply("") == "1 unchanged, 2 created"


def test_another_seed_is_another_pod_of_the_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "kubectl", lambda *arguments, **more: "4711")
    [patch] = rollout.seed_patches()
    assert patch["target"] == {"kind": "StatefulSet", "name": "producer"}
    annotations = json.loads(patch["patch"])["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"randstream.io/seed-version": "4711"}
    monkeypatch.setattr(cluster, "kubectl", lambda *arguments, **more: "")
    assert rollout.seed_patches() == []
