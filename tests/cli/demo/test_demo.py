"""The demo as a newcomer runs it, and what it says if a number is wrong."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from randstream.cli.demo import Demo, describe, fetch_links
from randstream.protocol.frames import Beat, Open, encode
from randstream.store import Damage, StreamReport

DEMO = (sys.executable, "-m", "randstream", "demo")
OPENED = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "p", 1.0)


def a_report(damage: Damage | None = None) -> StreamReport:
    return StreamReport(Path("worker-0-6ae2a63a0ac05109"), OPENED, 1, 0, 100, 0, damage)


def test_demo_heals_two_kills_and_a_cut_and_ends_exact() -> None:
    demo = subprocess.run([*DEMO, "--seconds", "3"], capture_output=True, text=True, check=False)
    assert demo.returncode == 0, demo.stderr
    lines = demo.stdout.splitlines()
    stories = [re.sub(r"producer-.", "producer", line.split("s  ")[1]) for line in lines[:8]]
    assert [" ".join(story.split()[:3]) for story in stories] == [
        "3 workers, 2", "producer is killed", "producer serves them", "producer is back",
        "worker-2 is killed", "worker-2 is back", "the connection from", "worker-1 goes on",
    ]  # fmt: skip
    proofs = [line for line in lines if "0 wrong, 0 missing, 0 repeated" in line]
    assert [proof.split(":")[0] for proof in proofs] == ["worker-0", "worker-1", "worker-2"]
    (silences,) = [line for line in lines if line.startswith("Stood still: ")]
    seconds = dict(re.findall(r"(worker-\d) (\d+\.\d\d) s", silences))
    assert sorted(seconds) == ["worker-0", "worker-1", "worker-2"]
    assert float(seconds["worker-2"]) > 0.0
    assert "Every number is where it belongs." in lines
    assert max(map(len, [*proofs, silences])) < 80
    assert demo.stderr == ""


def test_ctrl_c_ends_the_demo_with_the_proof() -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
    assert demo.returncode == 0
    assert "Every number is where it belongs." in rest


def test_demo_ends_quietly_when_its_reader_leaves() -> None:
    with subprocess.Popen([*DEMO, "--seconds", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.readline()
        demo.stdout.close()
        assert demo.stderr.read() == ""
    assert demo.returncode == 0


def test_a_damaged_store_is_not_exact() -> None:
    damage = Damage(Path("x.numbers"), 17, 5, "a number that is not the stream's")
    line, is_exact = describe(a_report(damage), {"worker-0": 100})
    assert not is_exact
    assert "NOT EXACT" in line
    assert "byte 17" in line


@pytest.mark.parametrize(("acked", "missing"), [(100, 0), (90, 0), (103, 3)])
def test_numbers_acked_but_not_stored_count_as_missing(acked: int, missing: int) -> None:
    line, is_exact = describe(a_report(), {"worker-0": acked})
    assert is_exact is (missing == 0)
    assert f"{missing} missing" in line


def test_missing_stores_are_not_exact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "worker-0-6ae2a63a0ac05109"
    folder.mkdir()
    beat = Beat(0, 0, "1")
    (folder / f"{0:020d}.numbers").write_bytes(encode(OPENED) + encode(beat))
    assert Demo(None, seed="42").prove(tmp_path, {}, {}) == 1
    assert "NOT EXACT" in capsys.readouterr().out


def test_the_table_shows_each_link_as_its_server_sees_it_and_leaves_out_who_is_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def links(**states: str) -> io.BytesIO:
        return io.BytesIO(json.dumps({"links": [{"worker": w, "state": s} for w, s in states.items()]}).encode())

    def answer(url: str, timeout: float) -> io.BytesIO:
        if url.startswith("dead"):
            raise ConnectionRefusedError
        return links(a="standby", b="streaming") if url.startswith("one") else links(a="streaming", b="standby")

    monkeypatch.setattr("randstream.cli.demo.urlopen", answer)
    found = fetch_links(["dead/", "one/", "other/"])
    assert {name: link["state"] for name, link in found.items()} == {"a": "streaming", "b": "streaming"}
