"""The workflows for GitHub and `.ci/run`: nothing of anybody else's runs in them, and what they call is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))

pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="this is no checkout")


def calls(path: Path) -> set[str]:
    """The targets of make that a script calls."""
    lines = re.findall(r"\bmake((?: [a-z][a-z0-9-]*)+)", re.sub(r"#.*", "", path.read_text()))
    return {target for line in lines for target in line.split()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_nothing_that_others_may_change(path: Path) -> None:
    text = path.read_text()
    assert "uses:" not in text
    assert all(re.search(r"@sha256:[0-9a-f]{64}\b", image) for image in re.findall(r"image: .*", text))
    assert "\npermissions: {}\n" in text
    assert "pull_request_target" not in text
    assert len(re.findall(r"^ +runs-on: ubuntu-\d", text, re.MULTILINE)) == text.count("timeout-minutes: ")


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".ci/run"], ids=lambda path: path.name)
def test_what_a_workflow_makes_is_a_target(path: Path) -> None:
    assert calls(path) - TARGETS == set()


def test_the_image_is_described_wherever_a_workflow_builds_it() -> None:
    for path in WORKFLOWS:
        assert {"build", "describe-image", "check-image"} <= calls(path)


@pytest.mark.parametrize("arguments", [["--without-cluster"], []])
def test_a_run_needs_no_shared_folder_unless_it_is_to_use_the_cluster(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "project/.ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", tmp_path / "project/.ci")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("apt-get", "make"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    run = subprocess.run(
        [tmp_path / "project/.ci/run", *arguments],
        env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    steps = re.findall(r"^== make (\S+)", run.stdout, re.MULTILINE)
    assert {"setup", "lint", "test", "chaos", "wheels"} <= set(steps)
    assert run.returncode == (0 if arguments else 1)
    assert ("there is no ../shared/cluster/cluster" in run.stderr) == (not arguments)
