"""Credentials: files that cannot be used are named, and files that change are read for the next connection."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from tests.net.certificates import (
    CA,
    HOST,
    OTHER_CA,
    PRODUCER,
    Files,
    Talk,
    a_receiver,
    producer_settings,
    secured_receiver,
    secured_sender,
    worker_settings,
)
from tests.protocol.network import WORKER, a_sender
from tests.support.clock import JumpingClock
from tests.support.log import Log

from randstream.clock import Clock
from randstream.errors import (
    SettingsError,
)
from randstream.net.credentials import Credentials
from randstream.net.timers import TICK, TimerWheel
from randstream.observe.expiry import LOOK_SECONDS
from randstream.protocol.events import Greeted
from randstream.settings.roles import CommonSettings, WorkerSettings


@pytest.mark.parametrize("given", [["cert"], ["key"], ["ca"], ["cert", "key"], ["cert", "ca"], ["key", "ca"]])
def test_the_three_files_go_together(given: list[str], worker_files: Files) -> None:
    files = {f"tls_{name}": worker_files.settings[f"tls_{name}"] for name in given}
    missing = " and ".join(f"--tls-{name}" for name in ("cert", "key", "ca") if name not in given)
    with pytest.raises(SettingsError, match=f"^{missing} missing; TLS needs --tls-cert, --tls-key and --tls-ca$"):
        WorkerSettings(discard=True, **files)


def test_allowed_producers_need_tls() -> None:
    with pytest.raises(SettingsError, match="--allow-producer is of no use without TLS"):
        WorkerSettings(discard=True, allow_producer="a.example")


@pytest.mark.parametrize("text", ["a.example,", "*.example", "a example"])
def test_what_no_certificate_names_cannot_be_allowed(text: str, worker_files: Files) -> None:
    with pytest.raises(SettingsError, match="give DNS names or URIs as they stand in certificates"):
        worker_settings(worker_files, allow_producer=text)


def test_a_raw_target_cannot_have_tls(producer_files: Files) -> None:
    with pytest.raises(SettingsError, match="raw://b:9000 cannot have TLS"):
        producer_settings(producer_files, workers="a:9000,raw://b:9000")


def test_files_that_cannot_be_used_are_named(worker_files: Files) -> None:
    def complaint() -> str:
        with pytest.raises(SettingsError) as raised:
            Credentials(worker_settings(worker_files), Clock())
        assert "\n" not in str(raised.value)
        return str(raised.value)

    good = {name: (worker_files.folder / name).read_bytes() for name in ("cert", "key", "ca")}
    for name, kind in (("cert", "certificate"), ("key", "private key"), ("ca", "certificate")):
        path = worker_files.folder / name
        path.unlink()
        assert complaint() == f"--tls-{name} {path}: cannot read it: No such file or directory"
        path.write_bytes(b"hello")
        assert complaint() == f"--tls-{name} {path}: no {kind} in it; give a PEM file that has one"
        path.write_bytes(good[name][: len(good[name]) // 2])
        assert complaint().startswith(f"--tls-{'cert' if name == 'key' else name} ")
        assert "no usable PEM" in complaint()
        path.write_bytes(good[name])
    worker_files.put("key", CA.issue_cert(HOST).private_key_pem.bytes())
    assert "does not belong to --tls-cert" in complaint()


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(worker_files: Files) -> None:
    key: Any = serialization.load_pem_private_key((worker_files.folder / "key").read_bytes(), None)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked = key.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"secret"))
    worker_files.put("key", locked)
    with pytest.raises(SettingsError, match="has a passphrase"):
        Credentials(worker_settings(worker_files), Clock())


def test_an_intermediate_ca_is_enough(tmp_path: Path) -> None:
    intermediate = CA.create_child_ca()
    worker = Files(tmp_path / "worker").write(intermediate.issue_cert(HOST, WORKER), intermediate)
    producer = Files(tmp_path / "producer").write(intermediate.issue_cert(PRODUCER), intermediate)
    assert Talk(secured_sender(producer), secured_receiver(worker)).settle().heard["producer"] == [Greeted("worker-0")]


def test_files_that_change_are_read_for_the_next_connection_and_only_then(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    worker = Credentials(worker_settings(worker_files), Clock())
    producer = Credentials(producer_settings(producer_files), Clock())

    def greets() -> bool:
        heard = Talk(producer.secure(a_sender(), HOST), worker.secure(a_receiver())).settle().heard["producer"]
        return heard == [Greeted("worker-0")]

    assert greets()
    assert greets()
    assert log.events == []
    worker_files.write(OTHER_CA.issue_cert(HOST, WORKER), OTHER_CA, CA)
    assert not greets()
    producer_files.write(OTHER_CA.issue_cert(PRODUCER), OTHER_CA)
    assert greets()
    assert [event["event"] for event in log.events] == ["tls.reloaded"] * 2


def test_files_that_cannot_be_read_any_more_change_nothing_and_are_told_once(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    worker = Credentials(worker_settings(worker_files), Clock())
    producer = Credentials(producer_settings(producer_files), Clock())
    good = (worker_files.folder / "key").read_bytes()
    for spoil in (lambda: worker_files.put("key", b"half"), (worker_files.folder / "key").unlink):
        spoil()
        for _ in range(3):
            talk = Talk(producer.secure(a_sender(), HOST), worker.secure(a_receiver())).settle()
            assert talk.heard["producer"] == [Greeted("worker-0")]
    assert [event["event"] for event in log.events] == ["tls.unreadable"] * 2
    worker_files.put("key", good)
    worker.secure(a_receiver())
    assert log.events[-1]["event"] == "tls.reloaded"


def test_a_file_that_was_met_half_written_is_read_again_though_the_clock_has_not_moved(
    worker_files: Files, log: Log
) -> None:
    credentials = Credentials(worker_settings(worker_files), Clock())
    path = worker_files.folder / "key"
    key = path.read_bytes()
    for text, event in ((key[:100], "tls.unreadable"), (key, "tls.reloaded")):
        path.write_bytes(text)  # in place, as `cp` does
        os.utime(path, (1e9, 1e9))
        credentials.secure(a_receiver())
        assert log.events[-1]["event"] == event


def test_bad_files_are_one_line_and_status_2(worker_files: Files) -> None:
    worker_files.put("key", CA.issue_cert(HOST).private_key_pem.bytes())
    result = subprocess.run(
        [sys.executable, "-m", "randstream", "worker", "--discard", *worker_files.flags, "--listen", "127.0.0.1:0"],
        capture_output=True, text=True, check=False, env={**os.environ, "RANDSTREAM_LOG_LEVEL": "error"},
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "does not belong to --tls-cert" in result.stderr


def test_allowed_producers_are_a_list_and_a_flag_may_be_repeated(
    worker_files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    from randstream import service
    from randstream.cli import entry as cli

    seen: list[CommonSettings] = []

    def run_service(make: object, settings: CommonSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(service, "run_service", run_service)
    monkeypatch.setattr("randstream.observe.logs.set_up_logs", lambda *_, **__: None)
    flags = ["--allow-producer", "A.example,b.example", "--allow-producer", "spiffe://x/Y"]
    assert cli.run(["worker", "--discard", *worker_files.flags, *flags]) == 0
    (settings,) = seen
    assert isinstance(settings, WorkerSettings)
    assert settings.allow_producer == ("a.example", "b.example", "spiffe://x/Y")


def expiring(year: int) -> trustme.LeafCert:
    return CA.issue_cert(HOST, WORKER, not_after=datetime(year, 1, 1, tzinfo=UTC))


def test_certificates_are_those_of_the_files_as_they_are_now(worker_files: Files, log: Log) -> None:
    credentials = Credentials(worker_settings(worker_files.write(expiring(2030), CA)), Clock())
    for year in (2030, 2031):
        worker_files.write(expiring(year), CA)
        presented, trusted = credentials.certificates()
        assert presented.not_after == datetime(year, 1, 1, tzinfo=UTC).timestamp()
        assert (presented.setting, presented.file) == ("tls-cert", str(worker_files.folder / "cert"))
        assert (trusted.setting, trusted.file) == ("tls-ca", str(worker_files.folder / "ca"))


@pytest.mark.parametrize("of", ["worker", "producer"])
async def test_without_any_connection_an_expired_certificate_is_told_and_its_renewal_noticed_within_a_minute(
    worker_files: Files, log: Log, clock: JumpingClock, of: str
) -> None:
    worker_files.write(expiring(2001), CA)
    settings = worker_settings(worker_files) if of == "worker" else producer_settings(worker_files)
    with closing(TimerWheel(clock, on_bug=Mock())) as wheel:
        Credentials(settings, clock).watch(wheel)
        assert [(event["event"], event["setting"]) for event in log.events] == [("tls.expired", "tls-cert")]
        worker_files.write(expiring(2099), CA)
        clock.jump(LOOK_SECONDS + TICK)
        wheel.turn()
        assert [event["event"] for event in log.events][1:] == ["tls.reloaded"]
        worker_files.write(expiring(2001), CA)
        clock.jump(LOOK_SECONDS + TICK)
        wheel.turn()
        assert [event["event"] for event in log.events][2:] == ["tls.reloaded", "tls.expired"]
