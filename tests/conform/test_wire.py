"""The suites' own line reader: what is a fault, and what is not."""

from __future__ import annotations

import pytest

from randstream.conform.wire import beat, rank, read_control_line, read_numbers, with_check

OPEN = (
    "#open worker=worker-0 stream=6ae2a63a0ac05109 numbers=integers:1:100 producer=producer-0 heartbeat=1.0"
    " instance=5f0c8e2b94d1a637"
)


def fault(text: str | bytes) -> str:
    return read_control_line(text if isinstance(text, bytes) else text.encode("latin-1"), 0.0).fault


def test_lines_of_the_page_have_no_fault() -> None:
    assert with_check(OPEN) == f"{OPEN} check=878afb8c"
    for line in (
        with_check(OPEN), "#hello randstream/1 worker=worker-0", "#wait", "#wait by=producer-0 offset=1202", "#resume",
        "#resume offset=1200 after=start", "#beat offset=1202 crc=b1325618 t=2", "#ack offset=1202",
        "#ack offset=1 t=2",
        "#close reason=shutdown", "#ack offset=1 new-key=x",
    ):  # fmt: skip
        assert fault(line) == ""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("#no x=1", "an unknown verb"),
        ("#hello randstream/2 worker=a", "not the version"),
        ("#hello", "not the version"),
        ("#ack offset=1\r", "not ASCII"),
        ("#ack offset=1 x=\xe9", "not ASCII"),
        ("#ack  offset=1", "'' is not key=value"),
        ("#ack offset=1 word", "'word' is not key=value"),
        ("#ack offset=1 offset=1", "offset is repeated"),
        ("#ack t=1", "no offset"),
        ("#ack offset=01", "an ill-formed offset"),
        (f"#ack offset={2**63}", "an offset past"),
        (with_check(OPEN.replace("heartbeat=1.0", "heartbeat=61")), "a heartbeat out of bounds"),
        (f"{OPEN} check=00000000", "check is not the last key"),
        ("#ack offset=1 x=".ljust(512, "a"), "a control line of 513 bytes"),
    ],
)
def test_fault_is_named(line: str, says: str) -> None:
    assert says in fault(line)


def test_numbers_are_judged_line_by_line() -> None:
    assert read_numbers(b"1\n-2.5\n1e+16\n" + b"1" * 63 + b"\n", 0.0).fault == ""
    for bad in (b"1\nx\n", b"\n", b"1" * 64 + b"\n", b"5\r\n", b"5#"):
        assert "not a number line" in read_numbers(bad, 0.0).fault


def test_beat_and_rank_are_those_of_the_page() -> None:
    assert beat(1202, b"52\n78\n", "2") == "#beat offset=1202 crc=b1325618 t=2"
    assert f"{rank('worker-0', 'producer-0'):016x}" == "88d37ebde8f5c609"
