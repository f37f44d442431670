"""deploy/components/monitoring: the rules fire when they should, and name only what exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.project.test_operations_page import leads_to_its_entry, metrics_of

FOLDER = Path(__file__).parents[2] / "deploy/components/monitoring"
ALERTS = (FOLDER / "alerts.yaml").read_text()
TESTS = (FOLDER / "alerts.test.yaml").read_text()
EXISTING = set(metrics_of("producer") | metrics_of("worker"))


def named_in(text: str) -> set[str]:
    """The metrics that a query names, without the suffixes of histograms."""
    names = set(re.findall(r"\brandstream_[a-z_]+", text))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def promtool(*arguments: str, folder: Path = FOLDER) -> None:
    """Run promtool in `folder`, and fail with what it prints if it finds something wrong."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    ran = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", "alerts.yaml")


def test_the_rules_fire_when_they_should_if_they_are_scraped_once_a_minute() -> None:
    promtool("test", "rules", "alerts.test.yaml")


def test_the_rules_fire_when_they_should_if_they_are_scraped_every_15_seconds(tmp_path: Path) -> None:
    (tmp_path / "alerts.yaml").write_text(ALERTS)
    text = re.sub(r"^    interval: 1m$", "    interval: 15s", TESTS, flags=re.MULTILINE)
    (tmp_path / "test.yaml").write_text(re.sub(r"(?<=values: \").+(?=\"\})", four_a_minute, text))
    promtool("test", "rules", "test.yaml", folder=tmp_path)


def four_a_minute(values: re.Match[str]) -> str:
    """promtool's `values` of one sample a minute, with three more after each."""
    text = re.sub(r"_x(\d+)", lambda found: f"_x{4 * int(found[1])}", values[0])
    return re.sub(
        r"(-?\d+)(?:\+(\d+))?x(\d+)",
        lambda found: f"{found[1]}+{int(found[2] or 0) / 4}x{4 * int(found[3]) + 3}",
        text,
    )


def test_every_rule_has_a_test_that_sees_it_fire() -> None:
    fired = set(re.findall(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:", TESTS))
    assert fired == set(re.findall(r"- alert: (\w+)", ALERTS))


def test_rules_name_only_metrics_that_exist() -> None:
    queries = "\n".join(line for line in ALERTS.splitlines() if "#" not in line and "name: randstream" not in line)
    assert named_in(queries) <= EXISTING


def test_every_rule_leads_to_its_entry_of_the_runbook() -> None:
    found = re.findall(r"- alert: (\w+)\n(?:.+\n)+? +runbook: docs/operations\.md#(\S+)$", ALERTS, re.MULTILINE)
    assert len(found) == len(re.findall(r"- alert: ", ALERTS))
    assert [alert for alert, anchor in found if not leads_to_its_entry(alert, anchor)] == []


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
