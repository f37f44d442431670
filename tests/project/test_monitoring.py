"""deploy/components/monitoring: the rules fire when they should, and name only what exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.project.test_operations_page import PAGE, metrics_of

FOLDER = Path(__file__).parents[2] / "deploy/components/monitoring"
ALERTS = (FOLDER / "alerts.yaml").read_text()
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
EXISTING = set(metrics_of("producer") | metrics_of("worker"))


def named_in(text: str) -> set[str]:
    """The metrics that a query names, without what histograms add."""
    names = set(re.findall(r"\brandstream_[a-z_]+", text))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


@pytest.mark.parametrize("arguments", [["check", "rules", "alerts.yaml"], ["test", "rules", "alerts.test.yaml"]])
def test_promtool_agrees(arguments: list[str]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    ran = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_rule_has_a_test_that_sees_it_fire() -> None:
    tests = (FOLDER / "alerts.test.yaml").read_text()
    fired = set(re.findall(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:", tests))
    assert fired == set(re.findall(r"- alert: (\w+)", ALERTS))


def test_rules_name_only_metrics_that_exist() -> None:
    queries = "\n".join(line for line in ALERTS.splitlines() if "#" not in line and "name: randstream" not in line)
    assert named_in(queries) <= EXISTING


def test_every_rule_leads_to_its_page_of_the_runbook() -> None:
    anchors = re.findall(r"runbook: docs/operations\.md#([a-z-]+)", ALERTS)
    assert len(anchors) == len(re.findall(r"- alert: ", ALERTS))
    titles = {title.lower().replace(" ", "-") for title in re.findall(r"^### (.+)$", PAGE, re.MULTILINE)}
    assert set(anchors) <= titles


def test_the_dashboard_names_only_metrics_that_exist_and_shows_them_all() -> None:
    queries = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    assert named_in(queries) <= EXISTING
    assert EXISTING - named_in(queries) == {"randstream_admin_clients", "randstream_links_unlabelled"}


def test_the_dashboards_panels_are_explained_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        assert panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_the_component_adds_itself_to_both_roles(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    for name in ("base", "components/monitoring"):
        shutil.copytree(FOLDER.parents[1] / name, tmp_path / Path(name).name)
    (tmp_path / "kustomization.yaml").write_text("resources: [base]\ncomponents: [monitoring]\n")
    ran = subprocess.run([kubectl, "kustomize", str(tmp_path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count('prometheus.io/port: "9001"') == 2
    assert "name: randstream-alerts\n" in ran.stdout
