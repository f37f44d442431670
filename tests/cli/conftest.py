from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.lines import Run
from tests.cli.running import started

from randstream.cli import entry as cli
from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, Open, encode
from randstream.settings import CommonSettings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [each for each in os.environ if each.startswith("RANDSTREAM_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], own_logs: None) -> Run:
    """Runs a command line in this process; gives its exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = cli.run(list(arguments))
        sys.stdout.flush()
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Gives the settings that a command line would run a role with."""
    seen: list[CommonSettings] = []

    def keep(make_role: Callable[[], Any], settings: CommonSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr("randstream.service.run_service", keep)
    monkeypatch.setattr("randstream.observe.logs.set_up_logs", lambda *_, **__: None)

    def settings(*arguments: str) -> Any:
        status, out, err = run(*arguments)
        assert (status, out, err) == (0, "", "")
        return seen[-1]

    return settings


@pytest.fixture
def refusal(run: Run) -> Callable[..., str]:
    """Gives the one line that a command line is refused with."""

    def refusal(*arguments: str) -> str:
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("randstream: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err.removeprefix("randstream: ").rstrip("\n")

    return refusal


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of two streams: one of 1000 numbers and one of none."""
    import google_crc32c

    for worker, count in (("worker-0", 1000), ("worker-1", 0)):
        stream = NumberStream("42", worker, "integers:1:100")
        offered = Open(worker, stream.id, "integers:1:100", "producer", 1.0)
        text = encode(offered) + encode(Beat(0, 0, "0"))
        if count:
            lines = stream.lines(0, count)
            text += lines + encode(Beat(count, google_crc32c.value(lines), "1"))
        folder = tmp_path / f"{worker}-{stream.id}"
        folder.mkdir()
        (folder / f"{0:020d}.numbers").write_bytes(text)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    for process in started:
        with process:  # which closes its pipes
            process.kill()
    started.clear()
