"""A certificate for the admin server, in files; and a server that is patient, as an answer may take long to make."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.net.certificates import CA, HOST, Files
from tests.support.waiting import PATIENCE

from randstream.admin import events, guard


@pytest.fixture(autouse=True)
def patient_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand links take 0.3 s of a processor, of which a test may have a thirtieth."""
    monkeypatch.setattr(guard, "REQUEST_SECONDS", PATIENCE)
    monkeypatch.setattr(events, "SLOW_SECONDS", PATIENCE)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "admin").write(CA.issue_cert(HOST, "localhost"), CA)


@pytest.fixture
def certificate(files: Files) -> tuple[str, str]:
    return str(files.folder / "cert"), str(files.folder / "key")
