"""deploy/proof.py: every store with the seed from the Secret. Needs no cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.project.scripts import load
from tests.store.streams import make_store

cluster = load("cluster")
proof = load("proof")

Prove = Callable[..., int]


@pytest.fixture
def prove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prove:
    """Proves the stores in `tmp_path`, each as if it were in the pod of its name."""

    def run_in(pods: list[str], *command: str, given: str) -> dict[str, subprocess.CompletedProcess[str]]:
        assert command[:2] == ("python", "-c")
        assert not given or given not in " ".join(command[3:])
        done = {}
        for pod in pods:
            store = {"RANDSTREAM_STORE": str(tmp_path / pod)} if (tmp_path / pod).exists() else {}
            done[pod] = subprocess.run(
                [sys.executable, *command[1:]], input=given, capture_output=True, text=True, check=False,
                env=os.environ | store,
            )  # fmt: skip
        return done

    def prove(*pods: str, seed: str = "42", arguments: tuple[str, ...] = ()) -> int:
        monkeypatch.setattr(cluster, "get_deployed", lambda kinds: [])
        monkeypatch.setattr(cluster, "pods_of", lambda component, objects: list(pods))
        monkeypatch.setattr(cluster, "kubectl", lambda *asked: b64encode(seed.encode()).decode())
        monkeypatch.setattr(cluster, "run_in", run_in)
        status: int = proof.main(list(arguments))
        return status

    return prove


def test_stores_that_the_seed_makes_are_proved(
    prove: Prove, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for pod in ("worker-0", "worker-1"):
        make_store(tmp_path / pod, 500)
    assert prove("worker-0", "worker-1") == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 3
    assert all("500 numbers" in each and "as the seed makes it" in each for each in shown[:2])
    assert shown[2] == "PROVED: all 2 stores hold exactly what the seed in the Secret randstream-seed makes"


def test_a_store_of_another_seed_is_not(prove: Prove, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path / "worker-0", 500)
    assert prove("worker-0", seed="43") == 1
    shown = capsys.readouterr()
    assert "WRONG SEED" in shown.out
    assert shown.err == "NOT PROVED: worker-0\n"


def test_for_machines_it_is_one_object(prove: Prove, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path / "worker-0", 500)
    assert prove("worker-0", arguments=("--json",)) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)["worker-0"]
    assert (report["ok"], report["with_seed"], report["count"]) == (True, True, 500)


def test_workers_without_a_store_have_nothing_to_prove(prove: Prove, capsys: pytest.CaptureFixture[str]) -> None:
    assert prove("worker-0") == 1
    assert capsys.readouterr().err == "These workers keep no store: there is nothing to prove.\n"


def test_without_the_secret_nothing_is_proved(prove: Prove, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_store(tmp_path / "worker-0", 500)
    assert prove("worker-0", seed="") == 1
    assert capsys.readouterr().err.startswith("There is no Secret randstream-seed with a seed")
