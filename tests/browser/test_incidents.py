"""Incidents: what goes wrong with real processes at night, read off the live page of a producer.

Where, since when and why are in the headline, on the first screen. `make incidents` keeps a picture of each.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.browser.streams import Streams, url_of
from tests.chaos.small_disk import fill, small_tmpfs
from tests.net.certificates import CA, EXPIRED, HOST, PRODUCER, Files

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
PICTURES = os.environ.get("PICTURES")
"""The folder for the pictures."""
FASTER = "20000"
"""Numbers a second that fill a pipe or a small disk within moments."""


@contextmanager
def flowing(page: Any, streams: Streams) -> Iterator[None]:
    """Looks at streams that flow. All processes are gone at the end."""
    try:
        page.goto(streams.url)
        finds(page, "streaming", "All 3 streams flow")
        yield
    finally:
        streams.end()


def keep_picture(page: Any, name: str) -> None:
    """Of the first screen."""
    if PICTURES:
        page.wait_for_timeout(3000)  # as it is when somebody comes
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def finds(page: Any, kind: str, headline: str) -> None:
    """The headline comes to be this one, of this shape and colour."""
    found = page.get_by_role("heading", level=1, name=re.compile(f"^{headline}$"))
    found.wait_for()
    assert found.get_attribute("class") == kind


def first_row(page: Any) -> str:
    """The first row of the table, in one line."""
    return " · ".join(page.locator("#streams tbody").first.inner_text().split("\n"))


def test_a_worker_dies(page: Any, tmp_path: Path) -> None:
    streams = Streams(tmp_path)
    with flowing(page, streams):
        streams.kill(1)
        finds(page, "down", r"worker-1 has been unreachable for \d+ s: connection refused")
        assert re.search(
            rf"worker-1\W+unreachable.*{streams.addresses[1]} · connection refused · since \d\d:\d\d:\d\d",
            first_row(page),
        )
        keep_picture(page, "worker-dies")


def test_a_worker_is_frozen(page: Any, tmp_path: Path) -> None:
    streams = Streams(tmp_path)
    with flowing(page, streams):
        streams.workers[2].popen.send_signal(signal.SIGSTOP)
        try:
            finds(page, "down", r"worker-2 has been unreachable for \d+ s: nothing heard for three heartbeats")
            assert "nothing heard for three heartbeats · since" in first_row(page)
            keep_picture(page, "worker-is-frozen")
        finally:
            streams.workers[2].popen.send_signal(signal.SIGCONT)
        finds(page, "streaming", "All 3 streams flow")


def test_a_disk_is_full(page: Any, tmp_path: Path) -> None:
    with small_tmpfs(tmp_path / "disk") as disk:
        streams = Streams(tmp_path, FASTER, sinks={0: ("--store", str(disk / "store"))})
        with flowing(page, streams):
            fill(disk)
            finds(page, "stalled", r"worker-0 has been stalled for \d+ s: the disk of the worker's store is full")
            assert re.search(r"worker-0\W+stalled.*the disk of the worker's store is full · since", first_row(page))
            keep_picture(page, "disk-is-full")


def test_a_command_reads_nothing(page: Any, tmp_path: Path) -> None:
    command = f"while ! test -e {tmp_path}/enough; do head -c 100000 >/dev/null; done; exec sleep 100"
    streams = Streams(tmp_path / "store", FASTER, sinks={1: ("--", "sh", "-c", command)})
    with flowing(page, streams):
        (tmp_path / "enough").touch()
        finds(page, "stalled", r"worker-1 has been stalled for \d+ s: the worker's command does not read its numbers")
        keep_picture(page, "command-reads-nothing")


def test_a_certificate_expires(page: Any, tmp_path: Path) -> None:
    mine, theirs = (Files(tmp_path / name) for name in ("producer", "workers"))
    mine.write(CA.issue_cert(PRODUCER), CA)
    theirs.write(CA.issue_cert(HOST, *(f"worker-{number}" for number in range(3))), CA)
    streams = Streams(tmp_path / "store", more=theirs.flags, producer_more=mine.flags)
    with flowing(page, streams):
        theirs.write(CA.issue_cert(HOST, *(f"worker-{number}" for number in range(3)), **EXPIRED), CA)
        streams.kill(0)
        streams.restart(0)
        finds(page, "down", r"worker-0 has been unreachable for \d+ s: .*certificate has expired.*")
        keep_picture(page, "certificate-expires")


def test_a_producer_has_another_seed(page: Any, tmp_path: Path) -> None:
    streams = Streams(tmp_path)
    with flowing(page, streams):
        stranger = streams.start_producer("--name", "producer-1", seed="43")
        try:
            page.goto(url_of(stranger))
            asked = "do all producers have the same seed and numbers"
            finds(page, "stalled", rf"3 workers are served a stream other than this producer's: {asked}\?")
            assert re.search(rf"producer-0 serves another stream, [0-9a-f]+: {asked}\?", first_row(page))
            keep_picture(page, "another-seed")
        finally:
            stranger.end()


def test_the_producer_itself_is_gone(page: Any, tmp_path: Path) -> None:
    streams = Streams(tmp_path)
    with flowing(page, streams):
        streams.producer.end(signal.SIGKILL)
        finds(page, "silent", r"No word from producer-0 for \d+ s")
        assert page.title() == "no word from producer-0 · randstream"
        keep_picture(page, "producer-is-gone")
