"""Verify: what it prints for intact and for damaged stores."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.lines import Run, segment_of

from randstream.cli.verify import run_verify
from randstream.numbers.stream import NumberStream


def damage(store: Path) -> None:
    path = segment_of(store, "worker-0")
    text = bytearray(path.read_bytes())
    text[-100] ^= 1
    path.write_bytes(text)


def test_verify_of_an_intact_store_says_so_and_exits_0(store: Path, run: Run) -> None:
    status, out, err = run("verify", str(store), "--seed", "42")
    assert (status, err) == (0, "")
    one, other = (segment_of(store, worker).parent.name for worker in ("worker-0", "worker-1"))
    assert out.splitlines() == [
        f"ok       {one}: 1,000 numbers, offsets 0 to 999, every one as the seed makes it",
        f"ok       {other}: 0 numbers, every one as the seed makes it",
        "2 streams, none damaged",
    ]


def test_verify_without_the_seed_says_what_was_not_checked(store: Path, run: Run) -> None:
    path = segment_of(store, "worker-0")
    with path.open("ab") as file:
        file.write(b"12\n")
    _, out, _ = run("verify", str(path.parent))
    numbers = "1,000 numbers, offsets 0 to 999, every checksum holds; 3 bytes after them await their beat"
    checked = "Checked: offsets, checksums, and that each line is a number."
    advice = "Give --seed-file to compare every number with the seed's, too."
    assert out.splitlines() == [f"ok       {path.parent.name}: {numbers}", f"{checked} {advice}"]


def test_verify_of_damage_says_where_and_exits_1(store: Path, run: Run) -> None:
    damage(store)
    status, out, err = run("verify", str(store), "--seed", "42")
    lines = out.splitlines()
    assert (status, err) == (1, "")
    assert lines[0].startswith(
        f"DAMAGED  {segment_of(store, 'worker-0').parent.name}: only 0 numbers hold; what follows"
    )
    assert lines[1].strip().startswith(f"{segment_of(store, 'worker-0')}: byte ")
    assert lines[-1] == "2 streams, 1 damaged"


def test_verify_with_another_seed_says_wrong_seed_and_exits_1(store: Path, run: Run) -> None:
    status, out, err = run("verify", str(store), "--seed", "43")
    lines = out.splitlines()
    name = segment_of(store, "worker-0").parent.name
    numbers = "1,000 numbers, offsets 0 to 999, every checksum holds; none was compared"
    assert (status, err) == (1, "")
    assert lines[0] == f"WRONG SEED  {name}: {numbers}"
    made = NumberStream("43", "worker-0", "integers:1:100").id
    assert lines[1].strip() == (
        f"the seed given makes stream {made}, and this is {name.rpartition('-')[2]}: give the seed that made it"
    )
    assert lines[-1] == "2 streams, none damaged, 2 with another seed"
    assert "DAMAGED" not in out
    status, out, _ = run("verify", str(store), "--seed", "43", "--json")
    report = json.loads(out)
    assert (status, report["ok"]) == (1, False)
    assert [stream["outcome"] for stream in report["streams"]] == ["wrong seed"] * 2
    assert (report["streams"][0]["seed_makes"], report["streams"][0]["damage"]) == (made, None)


def test_verify_names_what_is_foreign_and_exits_0(store: Path, run: Run) -> None:
    notes, lost = segment_of(store, "worker-0").with_name("notes.txt"), store / "lost+found"
    notes.touch()
    lost.mkdir()
    status, out, _ = run("verify", str(store), "--seed", "42")
    assert status == 0
    assert out.splitlines()[2:4] == [f"foreign  {path}: not the store's; left alone" for path in (notes, lost)]
    report = json.loads(run("verify", str(store), "--json")[1])
    assert (report["foreign"], report["streams"][0]["foreign"]) == ([str(lost)], [str(notes)])
    assert [stream["outcome"] for stream in report["streams"]] == ["ok"] * 2


def test_verify_as_json_is_one_object(store: Path, run: Run) -> None:
    status, out, _ = run("verify", str(store), "--json")
    report = json.loads(out)
    assert (status, report["ok"], report["count"], report["with_seed"]) == (0, True, 1000, False)
    assert [stream["end_offset"] for stream in report["streams"]] == [1000, 0]


def test_verify_of_an_unreadable_store_is_refused(
    store: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "/data")

    monkeypatch.setattr("randstream.cli.verify.verify", fail)
    assert refusal("verify", str(store)) == "cannot read /data: Permission denied"


def test_a_signal_that_ends_verify_gives_the_terminal_its_cursor_back(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("randstream.cli.verify.verify", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(SystemExit):
        run_verify([str(store)], None, as_json=False)
    _, err = capsys.readouterr()
    assert err.rindex("\x1b[?25h") > err.rindex("\x1b[?25l")


def test_verify_shows_colours_and_progress_on_a_terminal_only(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    run_verify([str(store)], "42", as_json=False)
    out, err = capsys.readouterr()
    assert out.startswith("\x1b[32mok\x1b[0m       worker-0")
    assert "\x1b[" in err


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colours_gets_none(
    variable: str, value: str, store: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(variable, value)
    assert run("verify", str(store), "--seed", "42")[1].startswith("ok       worker-0")
