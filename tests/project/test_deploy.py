"""deploy/ agrees with the settings, and `make` says what is missing. Needs no cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from tests.admin.roles import FakeRole
from tests.admin.site import site_of
from tests.project.scripts import DEPLOY, ROOT, load, render

from randstream.cli.options import ROLE_VARIABLE
from randstream.net.tls import holds_name
from randstream.settings.roles import ProducerSettings, WorkerSettings, settings_of

OVERLAYS: Final = sorted(path.name for path in (DEPLOY / "overlays").iterdir() if path.name != "check")
"""Those with both roles. The other: test_check.py."""
ROLES: Final = {"producer": ProducerSettings, "worker": WorkerSettings}
VARIABLES: Final = {
    role: {each.variable: name for name, each in settings_of(kind).items()} for role, kind in ROLES.items()
}


rollout = load("rollout")


# ---- the manifests ---------------------------------------------------------------------------------------------------


def test_every_environment_variable_in_deploy_is_a_setting() -> None:
    known = {ROLE_VARIABLE, *VARIABLES["producer"], *VARIABLES["worker"]}
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            used = set(re.findall(r"\bRANDSTREAM_[A-Z_]+", path.read_text(encoding="utf-8")))
            assert used <= known, path


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("role", ROLES)
def test_the_settings_that_an_overlay_deploys_are_accepted(overlay: str, role: str, tmp_path: Path) -> None:
    (tmp_path / "seed").write_text("42")
    [config] = [each for each in render(overlay, "ConfigMap") if re.search(rf"^  name: {role}-", each, re.MULTILINE)]
    given = {}
    for variable, value in re.findall(r'^  (RANDSTREAM_[A-Z_]+): "?(.*?)"?$', config, re.MULTILINE):
        given[VARIABLES[role][variable]] = str(tmp_path / "seed") if variable.endswith("_FILE") else value
    settings = ROLES[role](**given)
    assert settings.admin is not None
    assert settings.admin.port == 9001


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("suffix", ["", ".randstream", ".randstream.svc", ".randstream.svc.cluster.local"])
async def test_the_admin_server_answers_to_the_names_that_its_service_gives(role: str, suffix: str) -> None:
    env = (DEPLOY / "base" / f"{role}.env").read_text(encoding="utf-8")
    names = re.findall(r"^RANDSTREAM_ADMIN_HOST=(.+)$", env, re.MULTILINE)[0].split(",")
    async with site_of(FakeRole(), names=names) as site:
        for name in (role, f"{role}-0.{role}"):
            assert (await site.get("/api/links", headers={"Host": f"{name}{suffix}:9001"}))[0] == 200


def test_the_seed_comes_as_a_required_file_and_never_as_a_variable() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DEPLOY.rglob("*.*") if path.suffix in (".yaml", ".env"))
    assert "RANDSTREAM_SEED_FILE=" in text
    assert not re.search(r"RANDSTREAM_SEED\b", text)
    assert "optional:" not in text
    assert "secretKeyRef" not in text


@pytest.mark.parametrize("role", ROLES)
def test_a_drain_ends_within_the_pods_grace(role: str) -> None:
    env = (DEPLOY / "base" / f"{role}.env").read_text(encoding="utf-8")
    manifest = (DEPLOY / "base" / f"{role}.yaml").read_text(encoding="utf-8")
    grace = float(re.findall(r"^RANDSTREAM_GRACE=(.+)$", env, re.MULTILINE)[0])
    killed_after = int(re.findall(r"terminationGracePeriodSeconds: (\d+)", manifest)[0])
    assert grace + 5 <= killed_after


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_both_roles_locked_down(overlay: str) -> None:
    pods = render(overlay, "StatefulSet|DaemonSet")
    assert len(pods) == len(ROLES)
    for pod in pods:
        for promise in (
            "runAsNonRoot: true", "readOnlyRootFilesystem: true", "allowPrivilegeEscalation: false",
            "type: RuntimeDefault",
            "automountServiceAccountToken: false", "enableServiceLinks: false", "startupProbe:", "readinessProbe:",
            "livenessProbe:", "requests:", "limits:",
        ):  # fmt: skip
            assert promise in pod
        assert re.search(r"drop:\n\s+- ALL\n", pod)
        assert re.search(r"- configMapRef:\n\s+name: (producer|worker)-[a-z0-9]{10}\n", pod)
    namespaces = re.findall(r"^  namespace: (\S+)$", "\n".join(render(overlay, ".*")), re.MULTILINE)
    assert set(namespaces) == {rollout.NAMESPACE}


def test_a_daemon_set_has_a_worker_on_every_node_with_the_nodes_name() -> None:
    [worker] = render("daemonset", "DaemonSet")
    assert re.search(r"- name: RANDSTREAM_NAME\n\s+valueFrom:\n\s+fieldRef:\n\s+fieldPath: spec.nodeName\n", worker)
    assert "tolerations:\n      - operator: Exists\n" in worker
    assert not re.search("replicas|serviceName|podManagementPolicy", worker)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_seed_is_a_file_of_the_producers_pod_and_nobody_elses(overlay: str) -> None:
    pods = by_name(render(overlay, "StatefulSet|DaemonSet"))
    assert "  RANDSTREAM_SEED_FILE: /run/secrets/randstream/seed\n" in "".join(render(overlay, "ConfigMap"))
    assert "mountPath: /run/secrets/randstream\n" in pods["producer"]
    assert "secretName: randstream-seed" in pods["producer"]
    assert "randstream-seed" not in pods["worker"]


def test_with_mutual_tls_each_pod_has_the_certificate_that_its_peer_asks_for() -> None:
    pods = by_name(render("production-mtls", "StatefulSet"))
    certificates = by_name(render("production-mtls", "Certificate"))
    for role, pod in pods.items():
        assert "mountPath: /run/secrets/randstream-tls\n" in pod
        assert f"secretName: {role}-tls\n" in pod
        assert f"secretName: {role}-tls\n" in certificates[role]
    settings = "".join(render("production-mtls", "ConfigMap"))
    for name in ("tls.crt", "tls.key", "ca.crt"):
        assert settings.count(f": /run/secrets/randstream-tls/{name}\n") == len(ROLES)
    [allowed] = re.findall(r"RANDSTREAM_ALLOW_PRODUCER: (.+)", settings)
    assert allowed in dns_names(certificates["producer"])
    # Producers dial the names of SRV records.
    assert dns_names(certificates["worker"]) == [f"*.worker.{rollout.NAMESPACE}.svc.cluster.local"]
    assert "client auth" in certificates["producer"]
    assert "client auth" not in certificates["worker"]


@pytest.mark.parametrize("role", ROLES)
def test_with_mutual_tls_the_certificate_of_a_role_holds_the_names_of_all_its_pods(role: str) -> None:
    names = dns_names(by_name(render("production-mtls", "Certificate"))[role])
    assert all(holds_name(names, f"{role}-{number}") for number in range(1000))


@pytest.mark.parametrize(("overlay", "count"), [("minikube", 2), ("production", 3), ("daemonset", 1)])
def test_an_overlay_has_so_many_producers(overlay: str, count: int) -> None:
    assert f"\n  replicas: {count}\n" in by_name(render(overlay, "StatefulSet"))["producer"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_producers_have_stable_names_of_their_own_and_start_without_each_other(overlay: str) -> None:
    producer = by_name(render(overlay, "StatefulSet"))["producer"]
    for promise in ("podManagementPolicy: Parallel", "serviceName: producer", "type: RollingUpdate"):
        assert promise in producer
    assert "RANDSTREAM_NAME" not in producer  # it is the pod's name
    assert "clusterIP: None" in by_name(render(overlay, "Service"))["producer"]


@pytest.mark.parametrize("overlay", ["production", "production-mtls"])
@pytest.mark.parametrize("role", ROLES)
def test_in_production_no_node_or_zone_has_all_of_a_role_and_maintenance_stops_one_at_a_time(
    overlay: str, role: str
) -> None:
    workload = by_name(render(overlay, "StatefulSet"))[role]
    assert int(re.findall(r"^  replicas: (\d+)$", workload, re.MULTILINE)[0]) >= 3
    assert "affinity" not in workload
    for label in ("kubernetes.io/hostname", "topology.kubernetes.io/zone"):
        assert f"topologyKey: {label}\n" in workload
    budget = by_name(render(overlay, "PodDisruptionBudget"))[role]
    assert "  maxUnavailable: 1\n" in budget
    assert f"app.kubernetes.io/component: {role}\n" in budget


@pytest.mark.parametrize("role", ROLES)
def test_in_production_every_pod_is_scraped(role: str) -> None:
    template = by_name(render("production", "StatefulSet"))[role].partition("  template:\n")[2]
    assert 'prometheus.io/scrape: "true"\n' in template
    assert 'prometheus.io/port: "9001"\n' in template
    admin = by_name(render("production", "NetworkPolicy"))["admin"]
    assert "component" not in admin  # it opens the port of both roles


def dns_names(certificate: str) -> list[str]:
    listed = re.findall(r"^  dnsNames:\n((?:  - .+\n)+)", certificate, re.MULTILINE)
    return [name.strip("'") for name in re.findall("- (.+)", listed[0])]


def by_name(objects: list[str]) -> dict[str, str]:
    return {re.findall(r"^metadata:\n(?:  .*\n)*?  name: (\S+)$", each, re.MULTILINE)[0]: each for each in objects}


# ---- rollout ---------------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr(rollout, "kubectl", lambda *arguments, **more: rollout.json.dumps({"items": shown}))
    return shown


def test_a_rollout_is_over_when_every_replica_is_new_and_ready() -> None:
    assert rollout.describe_rollout(a_stateful_set()) is None
    assert rollout.describe_rollout(a_stateful_set(readyReplicas=1)) == "worker (3 of 3 new, 1 ready)"
    assert rollout.describe_rollout(a_stateful_set(updatedReplicas=1)) == "worker (1 of 3 new, 3 ready)"
    assert rollout.describe_rollout(a_stateful_set(replicas=4)) is not None
    assert rollout.describe_rollout(a_stateful_set(observedGeneration=1)) is not None


def test_a_rollout_on_every_node_is_over_when_each_has_a_new_worker_that_is_ready() -> None:
    assert rollout.describe_rollout(a_daemon_set(updatedNumberScheduled=2, numberReady=2)) is None
    assert rollout.describe_rollout(a_daemon_set(updatedNumberScheduled=1)) == "worker (1 of 2 new, 0 ready)"
    assert rollout.describe_rollout(a_daemon_set(observedGeneration=0)) == "worker (0 of 2 new, 0 ready)"


def test_workers_of_another_kind_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    def manifests(worker: str) -> str:
        producer = "kind: StatefulSet\nmetadata:\n  name: producer\nspec: {}\n"
        return f"{producer}---\nkind: {worker}\nmetadata:\n  labels:\n    a: b\n  name: worker\nspec: {{}}\n"

    monkeypatch.setattr(rollout, "get", lambda kinds: [a_stateful_set()])
    rollout.check_kinds(manifests("StatefulSet"))
    told = "The StatefulSet worker of another overlay or version is there: make clean first."
    with pytest.raises(rollout.Failed, match=f"^{told}$"):
        rollout.check_kinds(manifests("DaemonSet"))


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
    monkeypatch.setattr(rollout, "check_cluster", lambda: None)
    monkeypatch.setattr(rollout, "exists", lambda kind, name: kind == deployed)
    with pytest.raises(rollout.Failed, match=f"^{told}$"):
        rollout.scale(component, "3")


def test_scaling_waits_until_all_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def record(*arguments: str) -> str:
        called.append(" ".join(arguments))
        return ""

    monkeypatch.setattr(rollout, "check_cluster", lambda: None)
    monkeypatch.setattr(rollout, "exists", lambda kind, name: kind == "statefulset")
    monkeypatch.setattr(rollout, "kubectl", record)
    monkeypatch.setattr(rollout, "wait", lambda: called.append("wait"))
    assert rollout.main(["scale", "producer", "3"]) == 0
    assert called == ["scale statefulset/producer --replicas=3", "wait"]


def test_a_ready_pod_is_no_trouble() -> None:
    assert rollout.trouble_of(a_pod(conditions=[{"type": "Ready", "status": "True"}])) is None


def test_a_wrong_setting_is_hopeless_and_told_in_its_own_words() -> None:
    told = "randstream: RANDSTREAM_RAET is not a setting; did you mean RANDSTREAM_RATE?"
    ended = {"exitCode": 2, "message": f"...\n{told}\n"}
    assert rollout.trouble_of(a_pod(**container(terminated=ended))) == (
        f"it ended with status 2: {told}", True,
    )  # fmt: skip


def test_one_crash_may_pass_but_repeated_ones_are_hopeless() -> None:
    again: dict[str, Any] = {
        "containerStatuses": [{"state": {}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]
    }
    assert rollout.trouble_of(a_pod(**again)) == ("it ended with status 1: Error", False)
    again["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert rollout.trouble_of(a_pod(**again)) == ("it ended with status 1: Error", True)


def test_an_image_that_is_not_there_is_hopeless_and_says_how_to_load_it() -> None:
    why, is_hopeless = rollout.trouble_of(a_pod(**container(waiting={"reason": "ErrImageNeverPull", "message": "no."})))
    assert is_hopeless
    assert why == "ErrImageNeverPull: no. Load the image: make load-images."


def test_a_pod_whose_configuration_the_kubelet_has_not_synced_yet_is_waited_for() -> None:
    message = "failed to sync configmap cache: timed out waiting for the condition"
    slow = a_pod(**container(waiting={"reason": "CreateContainerConfigError", "message": message}))
    assert rollout.trouble_of(slow) == (f"CreateContainerConfigError: {message}", False)


def test_a_missing_secret_is_named_and_may_still_come(events: list[dict[str, Any]]) -> None:
    events.append({
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "message": 'MountVolume.SetUp failed for volume "seed" : secret "randstream-seed" not found',
    })  # fmt: skip
    why, is_hopeless = rollout.trouble_of(a_pod(**container(waiting={"reason": "ContainerCreating"})))
    assert not is_hopeless
    assert why.startswith("it waits for the Secret randstream-seed, which is missing.")


def test_the_newest_warning_explains_a_pod_that_waits(events: list[dict[str, Any]]) -> None:
    for second, message in ((2, "0/1 nodes:\n  Insufficient cpu."), (1, "older")):
        events.append({"metadata": {}, "lastTimestamp": f"2026-01-01T00:00:0{second}Z", "message": message})
    assert rollout.trouble_of(a_pod()) == ("0/1 nodes: Insufficient cpu.", False)
    events.clear()
    assert rollout.trouble_of(a_pod()) == ("not ready yet", False)


def test_pods_about_to_be_replaced_or_gone_are_not_waited_for() -> None:
    crashed = container(terminated={"exitCode": 2, "message": "bad"})
    old, new, going = (
        a_pod(image="randstream:old", **crashed),
        a_pod("worker-1", **crashed),
        a_pod("worker-2", **crashed),
    )
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    objects = [a_stateful_set(), old, new, going]
    assert [pod for pod, *_ in rollout.troubles(objects, only_new=True)] == ["pod worker-1"]
    assert [pod for pod, *_ in rollout.troubles(objects, only_new=False)] == ["pod worker-0", "pod worker-1"]


def test_an_overlay_elsewhere_is_refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(rollout, "check_cluster", lambda: None)
    monkeypatch.setattr(rollout, "kubectl", lambda *arguments, **more: "metadata:\n  namespace: elsewhere\n")
    monkeypatch.setattr(rollout, "with_image", lambda folder, image: Path(folder))
    assert rollout.main(["deploy", OVERLAYS[0], "randstream:1"]) == 1
    assert "uses the namespace elsewhere" in capsys.readouterr().err


def test_a_kind_that_the_cluster_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told = 'error: no matches for kind "PodDisruptionBudget" in version "policy/v1"'
    done = subprocess.CompletedProcess([], 1, "", f"{told}\nensure CRDs are installed first\n")
    monkeypatch.setattr(rollout, "run", lambda command, given: done)
    with pytest.raises(
        rollout.Failed, match=r'^kubectl apply failed: .* "PodDisruptionBudget" in version "policy/v1"$'
    ):
        rollout.kubectl("apply")


def test_the_image_that_is_deployed_is_the_one_that_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = rollout.with_image("deploy/overlays/minikube", "registry.example:5000/team/randstream:abc")
    kustomization = rollout.json.loads((made / "kustomization.yaml").read_text())
    assert kustomization["resources"] == ["../../deploy/overlays/minikube"]
    assert kustomization["images"] == [
        {"name": "randstream", "newName": "registry.example:5000/team/randstream", "newTag": "abc"}
    ]


# ---- make ------------------------------------------------------------------------------------------------------------

TOOLS: Final = (
    "awk", "cat", "cut", "echo", "env", "find", "grep", "head", "make", "mkdir", "rm", "sed", "sh", "sha256sum", "sort",
    "tr", "xargs",
)  # fmt: skip
MakeCall = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def make(tmp_path: Path) -> MakeCall:
    """Runs make where nothing is installed but TOOLS and programs that succeed, or fail, without a word."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"{tool} is not installed")
        (folder / tool).symlink_to(found)
    (folder / "python3").symlink_to(Path(sys.executable).resolve())

    def call(*arguments: str, working: str = "", failing: str = "") -> tuple[int, list[str]]:
        for names, status in ((working, 0), (failing, 1)):
            for name in names.split():
                (folder / name).write_text(f"#!/bin/sh\nexit {status}\n")
                (folder / name).chmod(0o755)
        environment = {"PATH": str(folder), "HOME": str(tmp_path)}
        command = [str(folder / "make"), "--no-print-directory", "-C", str(ROOT), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, [line for line in done.stderr.splitlines() if not line.startswith("make")]

    return call


@pytest.mark.parametrize(
    ("arguments", "programs", "line"),
    [
        ("build", {}, "There is no docker. Install Docker."),
        ("build", {"failing": "docker"}, "Docker does not answer. Start it"),
        ("load-images TAG=x", {"working": "docker"}, "There is no minikube. Install it"),
        ("load-images TAG=x CLUSTER=kind", {"working": "docker"}, "There is no kind. Install it"),
        ("load-images TAG=x CLUSTER=k3s", {"working": "docker"}, "CLUSTER=k3s is none of minikube, kind and none."),
        ("deploy TAG=x", {"working": "minikube"}, "Minikube has no image randstream:x: make build load-images"),
        ("deploy TAG=x CLUSTER=none", {}, "There is no kubectl. Install it"),
        ("deploy TAG=x CLUSTER=none", {"failing": "kubectl"}, "No Kubernetes cluster answers (context: none)."),
        ("deploy CLUSTER=none OVERLAY=mars", {"working": "kubectl"}, "There is no deploy/overlays/mars"),
        ("status", {"failing": "kubectl"}, "No Kubernetes cluster answers"),
        ("scale", {"working": "kubectl"}, "Say how many workers: make scale N=5"),
        ("scale N=-1", {"working": "kubectl"}, "Say how many workers: make scale N=5"),
        ("scale N=3", {"failing": "kubectl"}, "No Kubernetes cluster answers"),
        ("scale-producers", {"working": "kubectl"}, "Say how many producers: make scale-producers N=3"),
        ("scale-producers N=two", {"working": "kubectl"}, "Say how many producers: make scale-producers N=3"),
        ("silence", {"failing": "kubectl"}, "No Kubernetes cluster answers"),
        ("silence TIMES=-1", {"working": "kubectl"}, "Say how often: make silence TIMES=3"),
        ("check TAG=x COMMAND=ls", {}, "There is no docker. Install Docker."),
        ("clean", {"failing": "kubectl docker"}, "No Kubernetes cluster answers"),
    ],
)
def test_what_is_missing_is_one_line_and_a_status(
    make: MakeCall, arguments: str, programs: dict[str, str], line: str
) -> None:
    status, lines = make(*arguments.split(), **programs)
    assert status != 0
    assert len(lines) == 1, lines
    assert lines[0].startswith(line)


def test_the_image_that_is_missing_is_named(make: MakeCall) -> None:
    (status, lines) = make("load-images", "TAG=x", failing="docker")
    assert status != 0
    assert lines[0].startswith("Docker does not answer")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_tag_follows_the_content(tmp_path: Path) -> None:
    for name in ("Makefile", "Dockerfile", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("image.txt", "runtime.txt"):
        (tmp_path / "requirements" / name).write_text("")
    (tmp_path / "src").mkdir()
    source = tmp_path / "src" / "some.py"

    def tag(*arguments: str) -> str:
        command = ["make", "--dry-run", "-C", str(tmp_path), "build", *arguments]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ)).stdout
        tags: list[str] = re.findall(r"--tag randstream:([0-9a-f]{12})\b", said)
        return tags[0]

    source.write_text("1")
    first = tag()
    assert tag() == first
    source.write_text("2")
    assert tag() != first
    source.write_text("1")
    (tmp_path / "src" / "some.pyc").write_text("compiled")
    assert tag() == first
    assert tag("PYTHON_IMAGE=python:3.12") != first
