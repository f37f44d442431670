"""The standard streams: whose error it is, and writing to what another process made non-blocking."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from randstream.cli.standard import OutputError, open_output, remedy


def test_an_error_of_standard_output_says_that_it_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb") as full:
        monkeypatch.setattr("sys.stdout", SimpleNamespace(fileno=full.fileno))
        out = open_output()
        out.write(b"1\n")
        with pytest.raises(OutputError, match="No space left on device"):
            out.flush()
        with pytest.raises(OutputError):
            out.close()


def test_a_standard_output_that_does_not_block_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    data = bytes(2**20)
    received: list[bytes] = []
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb") as writer:
        monkeypatch.setattr("sys.stdout", SimpleNamespace(fileno=writer.fileno))
        thread = Thread(target=lambda: received.append(reader.read(len(data))))
        thread.start()
        with open_output() as out:
            out.write(data)
        thread.join()
    assert received == [data]


@pytest.mark.parametrize(("number", "advice"), [(errno.ENOSPC, "where there is room"), (errno.EIO, "elsewhere")])
def test_only_what_is_full_needs_room(number: int, advice: str) -> None:
    assert remedy(OSError(number, "")) == f"send it {advice}"
