"""deploy/check.py shows what a pod says, lets a command run meanwhile, and keeps the report. Needs no cluster."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from tests.project.scripts import DEPLOY, load, render

cluster = load("cluster")
manifests = load("manifests")
rollout = load("rollout")
check = load("check")

OVERLAY: Final = DEPLOY / "overlays" / "check"
POD: Final = "check-x"
KUBECTL: Final = """#!/bin/sh
cd {folder}
case $2 in
get) cat pod ;;
logs) [ -e log.0 ] && {{ cat log.0; mv log.0 log.cut; exit 1; }}; cat log ;;
exec) for last; do :; done; printf '%s\\n' "$last" >>told ;;
esac
"""
"""It has a pod, its log, which it shows first as far as log.0, and keeps the last word of what is executed there."""


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a stand-in for kubectl finds what it shows; the working directory."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kubectl").write_text(KUBECTL.format(folder=tmp_path))
    (tmp_path / "bin" / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check, "PAUSE_SECONDS", 0)
    ended_with(tmp_path, 0)
    return tmp_path


def ended_with(pod: Path, status: int) -> None:
    container = {"state": {"terminated": {"exitCode": status}}}
    (pod / "pod").write_text(json.dumps({"status": {"containerStatuses": [container]}}))


# ---- the script ------------------------------------------------------------------------------------------------------


def test_what_the_pod_says_is_shown_and_its_files_are_kept(pod: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ended_with(pod, 1)
    (pod / "log").write_text("node-0 reached\nFAILED: …\n=== check.json\n{\n}\n=== check.xml\n<testsuite/>\n")
    assert check.Check(POD, "").run() == 1
    assert (
        capfd.readouterr().out == "node-0 reached\nFAILED: …\nreport: build/check/check.json, build/check/check.xml\n"
    )
    assert (pod / "build/check/check.json").read_text() == "{\n}\n"
    assert (pod / "build/check/check.xml").read_text() == "<testsuite/>\n"


def test_a_log_that_is_cut_off_goes_on_where_it_was(pod: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (pod / "log.0").write_text("one\ntwo\nth")
    (pod / "log").write_text("one\ntwo\nthree\nfour\n")
    assert check.Check(POD, "").run() == 0
    assert capfd.readouterr().out == "one\ntwo\nthree\nfour\n"


@pytest.mark.parametrize(("command", "status"), [("exit 3", "3"), ("kill -TERM $$", "143")])
def test_the_command_begins_when_the_pod_says_so_and_its_status_is_told_there(
    pod: Path, command: str, status: str
) -> None:
    (pod / "log").write_text("begins: outside\n=== outside\nall is well\n")
    assert check.Check(POD, f"cp log seen; {command}").run() == 0
    assert (pod / "seen").exists()
    assert (pod / "told").read_text() == f"{status}\n"


def test_a_command_does_not_begin_before(pod: Path) -> None:
    (pod / "log").write_text("not reached: node-1\n")
    check.Check(POD, "touch begun").run()
    assert not (pod / "begun").exists()


@pytest.mark.parametrize(
    ("status", "why"), [("", "deleted"), ('{"status": {"phase": "Failed", "reason": "Evicted"}}', "Evicted")]
)
def test_a_pod_that_is_gone_is_told(pod: Path, status: str, why: str) -> None:
    (pod / "pod").write_text(status)
    with pytest.raises(cluster.Failed, match=rf"^The Job's pod is gone \({why}\), and what it measured with it\.$"):
        check.Check(POD, "").run()


def test_ctrl_c_ends_the_check_in_order_and_keeps_its_report(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pod / "log").write_text("=== check.json\n{}\n")
    show, interrupts = check.Check._show, [KeyboardInterrupt]

    def interrupted(self: Any) -> Any:
        if interrupts:
            raise interrupts.pop()
        return show(self)

    monkeypatch.setattr(check.Check, "_show", interrupted)
    ended_with(pod, 1)
    assert check.Check(POD, "").run() == 1
    assert (pod / "told").read_text() == f"{check.TELL_END}\n"
    assert (pod / "build/check/check.json").read_text() == "{}\n"


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_is_touched_where_a_check_runs_and_all_is_removed_where_not(
    exists: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[str] = []

    def deploy(image: str, options: list[str], node: str) -> str:
        called.append(f"deploy {image} {' '.join(options)}")
        raise cluster.Failed("It cannot be deployed.")

    monkeypatch.setattr(cluster, "NAMESPACE", cluster.NAMESPACE)
    for module, name in ((cluster, "check"), (rollout, "clean")):
        monkeypatch.setattr(module, name, lambda name=name: called.append(name))
    monkeypatch.setattr(cluster, "exists", lambda kind, name: exists)
    monkeypatch.setattr(check, "deploy", deploy)
    monkeypatch.setattr(check, "signal", lambda *_: None)
    for name in ("COMMAND", "NODE"):
        monkeypatch.delenv(name, raising=False)
    assert check.main(["randstream:1", "30", "--rate=5"]) == 1
    told = capsys.readouterr().err
    if exists:
        assert called == ["check"]
        assert told.startswith("The namespace randstream-check is there: another check runs;")
    else:
        assert called == ["check", "deploy randstream:1 --rate=5 --seconds=30", "clean"]
        assert told == "It cannot be deployed.\n"


@pytest.mark.parametrize("command", ["", "true", "true; false", "cd / && ls", "if true; then true; fi", "A=1 b", "(a)"])
def test_a_command_that_the_shell_may_know_is_taken(command: str) -> None:
    check.require_shell_knows(command)


@pytest.mark.parametrize("command", ["no-such-thing", "no-such-thing now", "./no-such-thing; true"])
def test_a_command_that_is_nowhere_is_told_before_anything_is_made(command: str) -> None:
    with pytest.raises(cluster.Failed, match=r"^COMMAND: there is no (\./)?no-such-thing; give its path"):
        check.require_shell_knows(command)


# ---- the pod ---------------------------------------------------------------------------------------------------------


def run_in_pod(script: str, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    source = (OVERLAY / script).read_text(encoding="utf-8").replace("/report", str(folder))
    command = [sys.executable, "-c", source, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


def test_outside_ends_with_the_status_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "ended").write_text("5")
    done = run_in_pod("outside.py", tmp_path)
    assert (done.returncode, done.stdout) == (5, f"{check.BEGIN}\n")


def test_the_pod_prints_the_files_below_marks_and_ends_as_the_check(tmp_path: Path) -> None:
    (tmp_path / "randstream.py").write_text("""
import sys
for each in sys.argv[2:4]:
    open(each.partition("=")[2], "w").write(each.partition("=")[0] + "\\n")
print(*sys.argv[4:], file=sys.stderr)
sys.exit(1)
""")
    done = run_in_pod("run.py", tmp_path, "--seconds=1", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == "--seconds=1\n=== check.json\n--report\n=== check.xml\n--junit\n"


# ---- the manifests ---------------------------------------------------------------------------------------------------


def test_the_overlay_has_a_worker_on_every_node_and_no_producer_but_the_job() -> None:
    assert len(render("check", "DaemonSet")) == 1
    assert render("check", "StatefulSet") == []
    everything = "\n---\n".join(render("check", ".*"))
    assert "RANDSTREAM_DISCARD" in everything
    assert cluster.SEED not in everything
    assert set(re.findall(r"^  namespace: (\S+)$", everything, re.MULTILINE)) == {check.NAMESPACE}


def test_the_job_is_locked_down_tried_once_and_may_connect_to_workers() -> None:
    [job] = render("check", "Job")
    for promise in (
        "backoffLimit: 0", "restartPolicy: Never", "runAsNonRoot: true", "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false", "type: RuntimeDefault", "automountServiceAccountToken: false",
        "enableServiceLinks: false", "requests:", "limits:", "app.kubernetes.io/component: producer",
    ):  # fmt: skip
        assert promise in job
    assert re.search(r"drop:\n\s+- ALL\n", job)


def test_the_jobs_arguments_are_taken_literally_and_a_node_that_is_named_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    patched: list[dict[str, Any]] = []

    def rendered(overlay: str, image: str, patch: dict[str, Any]) -> str:
        patched.extend(json.loads(patch["patch"]))
        return "kind: A\n---\na: b\nkind: Job\n"

    applied: list[str] = []
    monkeypatch.setattr(manifests, "render", rendered)
    monkeypatch.setattr(manifests, "prepare", lambda manifests: None)
    monkeypatch.setattr(manifests, "apply", applied.append)
    monkeypatch.setattr(rollout, "wait", lambda: None)
    assert check.deploy("randstream:1", ["--", "outside", "echo $(HOME)"], "n1") == "a: b\nkind: Job\n"
    assert applied == ["kind: A"]
    assert [each["value"] for each in patched[:3]] == ["--", "outside", "echo $$(HOME)"]
    assert [(each["path"].rpartition("/")[2], each["value"]) for each in patched[3:]] == [
        ("nodeSelector", {"kubernetes.io/hostname": "n1"}), ("tolerations", [{"operator": "Exists"}]),
    ]  # fmt: skip
