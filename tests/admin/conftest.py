"""A certificate for the admin server, in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.net.certificates import CA, HOST, Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "admin").write(CA.issue_cert(HOST, "localhost"), CA)


@pytest.fixture
def certificate(files: Files) -> tuple[str, str]:
    return str(files.folder / "cert"), str(files.folder / "key")
