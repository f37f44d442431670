"""deploy/ agrees with the settings, and `make` says what is missing. Needs no cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from tests.admin.roles import FakeRole
from tests.admin.site import site_of
from tests.project.scripts import DEPLOY, ROOT, by_name, kustomize, load, render

from randstream.cli.options import ROLE_VARIABLE
from randstream.net.tls import holds_name
from randstream.settings.roles import ProducerSettings, WorkerSettings, settings_of

OVERLAYS: Final = sorted(path.name for path in (DEPLOY / "overlays").iterdir() if path.name != "check")
"""Those with both roles. The other: test_check.py."""
ROLES: Final = {"producer": ProducerSettings, "worker": WorkerSettings}
VARIABLES: Final = {
    role: {each.variable: name for name, each in settings_of(kind).items()} for role, kind in ROLES.items()
}


cluster = load("cluster")


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
    files = [path for path in DEPLOY.rglob("*.*") if path.suffix in (".yaml", ".env")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)  # an empty line ends each
    assert "RANDSTREAM_SEED_FILE=" in text
    assert not re.search(r"RANDSTREAM_SEED\b", text)
    assert "secretKeyRef" not in text
    for pod in re.findall(r"secretName: randstream-seed\n(?:.+\n)*", text):
        assert "optional:" not in pod


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
    assert set(namespaces) == {cluster.NAMESPACE}


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


@pytest.mark.parametrize("overlay", ["production-mtls", "minikube-mtls"])
def test_with_mutual_tls_each_pod_has_its_certificate_and_the_authoritys_from_a_config_map_if_there_is_one(
    overlay: str,
) -> None:
    for role, pod in by_name(render(overlay, "StatefulSet")).items():
        assert "mountPath: /run/secrets/randstream-tls\n" in pod
        projected = pod.partition("projected:\n")[2]
        assert re.search(
            rf"- secret:\n\s+name: {role}-tls\n\s+- configMap:\n(?:.+\n)*?\s+name: randstream-ca\n", projected
        )
        assert "optional: true\n" in projected
    settings = "".join(render(overlay, "ConfigMap"))
    for name in ("tls.crt", "tls.key", "ca.crt"):
        assert settings.count(f": /run/secrets/randstream-tls/{name}\n") == len(ROLES)


def test_cert_manager_issues_what_each_peer_asks_for() -> None:
    certificates = by_name(render("production-mtls", "Certificate"))
    for role in ROLES:
        assert f"secretName: {role}-tls\n" in certificates[role]
    settings = "".join(render("production-mtls", "ConfigMap"))
    [allowed] = re.findall(r"RANDSTREAM_ALLOW_PRODUCER: (.+)", settings)
    assert allowed in dns_names(certificates["producer"])
    # Producers dial the names of SRV records.
    assert dns_names(certificates["worker"]) == [f"*.worker.{cluster.NAMESPACE}.svc.cluster.local"]
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


def test_the_six_lines_of_the_documentation_are_an_overlay(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    [lines] = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert lines.count("\n") == 6
    (tmp_path / "mine").mkdir()
    relative = os.path.relpath(DEPLOY, (tmp_path / "mine").resolve())
    (tmp_path / "mine" / "kustomization.yaml").write_text(lines.replace("../deploy", relative))
    objects = kustomize(tmp_path / "mine")
    pods = by_name([each for each in objects if "kind: StatefulSet\n" in each])
    assert {role: re.findall(r"^  replicas: (\d+)$", pods[role], re.MULTILINE) for role in ROLES} == {
        "producer": ["3"], "worker": ["20"],
    }  # fmt: skip
    assert all("image: registry.example.org/team/randstream:1.0\n" in pod for pod in pods.values())
    assert "storageClassName: fast" in pods["worker"]
    assert any('  RANDSTREAM_RATE: "100"\n' in each for each in objects)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_overlay_runs_an_image_that_a_stranger_could_have_published(overlay: str) -> None:
    for pod in render(overlay, "StatefulSet|DaemonSet"):
        assert re.findall(r"^ +image: (\S+)$", pod, re.MULTILINE) == ["unset.invalid/randstream"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_of_the_base_says_what_it_is_part_of_and_who_manages_it(overlay: str) -> None:
    for each in render(overlay, "StatefulSet|DaemonSet|Service|ServiceAccount"):
        labels = each.partition("\n  labels:\n")[2]
        assert "    app.kubernetes.io/managed-by: kustomize\n" in labels
        assert "    app.kubernetes.io/part-of: randstream\n" in labels
        assert "part-of" not in each.partition("volumeClaimTemplates:")[2]  # which can never be changed


def test_a_pod_monitor_scrapes_the_admin_port_of_every_pod(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    relative = os.path.relpath(DEPLOY, overlay.resolve())
    (overlay / "kustomization.yaml").write_text(
        f"resources: [{relative}/overlays/production]\ncomponents: [{relative}/components/pod-monitor]\n"
    )
    [monitor] = [each for each in kustomize(overlay) if "\nkind: PodMonitor\n" in each]
    assert monitor.partition("matchLabels:\n")[2].strip() == "app.kubernetes.io/name: randstream"
    assert re.search(r"podMetricsEndpoints:\n  - path: /metrics\n    port: admin\n", monitor)
    for pod in render("production", "StatefulSet"):
        assert re.search(r"- containerPort: 9001\n\s+name: admin\n", pod)


def dns_names(certificate: str) -> list[str]:
    listed = re.findall(r"^  dnsNames:\n((?:  - .+\n)+)", certificate, re.MULTILINE)
    return [name.strip("'") for name in re.findall("- (.+)", listed[0])]


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
        ("logs", {}, "There is no kubectl. Install it"),
        ("logs", {"failing": "kubectl"}, "No Kubernetes cluster answers"),
        ("verify", {"failing": "kubectl"}, "No Kubernetes cluster answers"),
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
    for name in ("README.md", "LICENSE"):
        (tmp_path / name).write_text("other words")
        assert tag() == first
    assert tag("PYTHON_IMAGE=python:3.12") != first
