"""Addresses and targets: which text is valid, and the errors of text that is not."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.settings.makers import inputs, producer, refusal

from randstream.settings import Address, Target, WorkerSettings


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a:1", Target("stream", "a", 1)),
        ("worker-0.workers.svc", Target("stream", "worker-0.workers.svc", 9000)),
        ("127.0.0.1:65535", Target("stream", "127.0.0.1", 65535)),
        ("[::1]:9000", Target("stream", "::1", 9000)),
        ("raw://localhost:9100", Target("raw", "localhost", 9100)),
        ("9001", Target("stream", "127.0.0.1", 9001)),
        ("raw://9001", Target("raw", "127.0.0.1", 9001)),
    ],
)
def test_a_target_is_host_and_port(text: str, target: Target) -> None:
    assert producer(workers=text).workers == (target,)
    assert producer(workers=str(target)).workers == (target,)
    assert producer(workers=[target]).workers == (target,)


@pytest.mark.parametrize("port", [np.uint16(9000), np.int64(9000)])
def test_the_port_of_an_address_may_be_an_integer_of_any_type(port: Any) -> None:
    (target,) = inputs(workers=[Target("stream", "a", port)]).targets
    address = WorkerSettings(listen=Address("127.0.0.1", port)).listen
    assert (target.port, address.port) == (9000, 9000)
    assert {type(target.port), type(address.port)} == {int}


@pytest.mark.parametrize("port", [-1, 65536, np.int16(-1), "x", 9000.0, None, True])
def test_an_address_with_what_is_no_port_is_refused(port: Any) -> None:
    assert refusal(WorkerSettings, listen=Address("127.0.0.1", port)).startswith("--listen: ")
    assert refusal(producer, workers=[Target("stream", "a", port)]).startswith("--workers: ")


@pytest.mark.parametrize("given", [5, [5], b"a:1", [b"a:1"], [None, 5.0]])
def test_what_is_no_text_is_no_target(given: Any) -> None:
    assert "is not a target; give host:port" in refusal(producer, workers=given)


def test_a_byte_order_mark_before_a_file_of_targets_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "workers"
    path.write_bytes(b"\xef\xbb\xbfa:1\r\nb:2\r\n")
    assert [str(target) for target in inputs(workers=f"@{path}").targets] == ["a:1", "b:2"]


def test_targets_are_separated_by_commas() -> None:
    assert [str(target) for target in producer(workers="a:1, raw://b:2,,[::1]:3,").workers] == [
        "a:1", "raw://b:2", "[::1]:3",
    ]  # fmt: skip


def test_a_file_of_targets_has_one_target_a_line_and_may_have_comments(tmp_path: Path) -> None:
    path = tmp_path / "workers"
    path.write_bytes(b"# all of them\r\na:1 # the first\r\n\r\n  raw://b:2\n")
    assert [str(target) for target in inputs(workers=f"@{path}").targets] == ["a:1", "raw://b:2"]


def test_the_worker_name_of_a_raw_target_is_valid() -> None:
    [target] = inputs(workers="raw://[::1]:9100").targets
    assert target.raw_worker == "raw-__1-9100"


@pytest.mark.parametrize("text", ["", ",", " , ", "a b:1", "a:", "a:x", "http//a:1", "::1:9000", "-a:1"])
def test_unusable_targets_are_refused(text: str) -> None:
    assert refusal(producer, workers=text).startswith("--workers")


@pytest.mark.parametrize(
    ("given", "why"), [("@/nope/nope", "No such file"), ("@", "Is a directory"), ("@/dev/null", "no worker is named")]
)
def test_files_without_targets_are_refused_when_they_are_read(given: str, why: str) -> None:
    message = refusal(producer(workers=given).resolve, random=Random(0))
    assert message.startswith(f"--workers {given}: ")
    assert why in message


@pytest.mark.parametrize("text", ["a:0", "a:65536", "65536", "a:" + "9" * 5000])
def test_unusable_ports_are_refused(text: str) -> None:
    assert "give a port from 1 to 65535" in refusal(producer, workers=text)


def test_an_unknown_scheme_is_refused() -> None:
    assert "has an unknown scheme; give host:port, such as" in refusal(producer, workers="tls://a:1")


def test_a_target_named_twice_is_refused_by_its_name() -> None:
    assert "a:9000 is named 2 times" in refusal(producer, workers="b,a,a:9000")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        (":0", ":0"),
        ("[::]:1", "[::]:1"),
        ("::1:1", "[::1]:1"),
        ("localhost:80", "localhost:80"),
        (":::1", "[::]:1"),
        ("9000", "127.0.0.1:9000"),
        ("0", "127.0.0.1:0"),
    ],
)
def test_an_address_is_host_and_port(text: str, address: str) -> None:
    assert str(WorkerSettings(listen=text).listen) == address


@pytest.mark.parametrize(
    "text", ["", "65536", "localhost", "::1", "fe80::1", "a b:1", "a:", "a:-1", "a:65536", "a:x", "http://a:1"]
)
def test_unusable_addresses_are_refused(text: str) -> None:
    assert refusal(WorkerSettings, listen=text).startswith("--listen")
