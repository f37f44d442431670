"""Proof: a demo's closing words claim what was seen, and no more."""

from __future__ import annotations

import shutil
from pathlib import Path

import google_crc32c
import pytest

from randstream.cli.demo.proof import describe, prove
from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, Open, encode
from randstream.store import Damage, StreamReport

OPENED = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "p", 1.0)
STOOD_STILL = {f"worker-{n}": 0.0 for n in range(3)}


def a_report(damage: Damage | None = None) -> StreamReport:
    return StreamReport(Path("worker-0-6ae2a63a0ac05109"), OPENED, 1, 0, 100, 0, damage)


def make_stores(folder: Path, count: int) -> None:
    """A store for each worker, with `count` numbers."""
    for worker in STOOD_STILL:
        stream = NumberStream("42", worker, "integers:1:100")
        lines = stream.lines(0, count)
        store = folder / f"{worker}-{stream.id}"
        store.mkdir()
        text = encode(Open(worker, stream.id, "integers:1:100", "p", 1.0)) + encode(Beat(0, 0, "0"))
        text += lines + encode(Beat(count, google_crc32c.value(lines), "1")) if count else b""
        (store / f"{0:020d}.numbers").write_bytes(text)


def closing_words(folder: Path, faults: int) -> tuple[str, int]:
    words, status = prove(folder, "42", {}, STOOD_STILL, faults)
    return "\n".join(map(str, words)), status


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


def test_a_missing_store_is_not_exact(tmp_path: Path) -> None:
    make_stores(tmp_path, 3)
    shutil.rmtree(next(tmp_path.glob("worker-1-*")))
    text, status = closing_words(tmp_path, 3)
    assert "NOT EXACT" in text
    assert status == 1


@pytest.mark.parametrize(
    ("faults", "unseen"),
    [
        (0, "Stopped early: nothing was killed or cut."),
        (1, "Stopped early: a producer was killed, but no worker, and no connection was cut."),
        (2, "Stopped early: a producer and a worker were killed, but no connection was cut."),
        (3, None),
    ],
)
def test_what_was_not_seen_is_said(faults: int, unseen: str | None, tmp_path: Path) -> None:
    make_stores(tmp_path, 3)
    text, status = closing_words(tmp_path, faults)
    assert "Every number is where it belongs." in text
    assert status == 0
    assert [line for line in text.splitlines() if line.startswith("Stopped early")] == ([unseen] if unseen else [])


def test_without_any_number_nothing_is_claimed(tmp_path: Path) -> None:
    make_stores(tmp_path, 0)
    text, status = closing_words(tmp_path, 0)
    assert "No number had arrived: nothing is proven." in text
    assert "worker-0: no number, 0 missing" in text
    assert "Every number" not in text
    assert status == 130
