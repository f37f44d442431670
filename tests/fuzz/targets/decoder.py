"""Decoder: any bytes as the frames of a connection."""

from __future__ import annotations

import re
from typing import Final

from randstream import speedups
from randstream.errors import RemoteProtocolError
from randstream.protocol import MAX_CONTROL_LINE_BYTES, MAX_NUMBER_LINE_BYTES
from randstream.protocol.decoder import Decoder
from randstream.protocol.frames import ControlFrame, Numbers, encode, parse_control_line

NUMBER_LINE: Final = re.compile(rb"[0-9-][0-9.e+-]{0,62}")


def decode(slices: list[bytes]) -> tuple[list[ControlFrame | bytes], bool]:
    """All frames, number lines joined, and whether there was an error."""
    decoder = Decoder()
    frames: list[ControlFrame | bytes] = []
    try:
        for data in slices:
            for frame in decoder.decode(data):
                if not isinstance(frame, Numbers):
                    frames.append(frame)
                    continue
                run = bytes(frame.lines)
                assert frame.count == run.count(b"\n") > 0
                assert all(NUMBER_LINE.fullmatch(line) for line in run[:-1].split(b"\n"))
                if frames and isinstance(frames[-1], bytes):
                    frames[-1] += run
                else:
                    frames.append(run)
            assert len(decoder.tail) < MAX_CONTROL_LINE_BYTES
            assert decoder.tail[:1] == b"#" or len(decoder.tail) < MAX_NUMBER_LINE_BYTES
    except RemoteProtocolError:
        return frames, True
    return frames, False


def fuzz_decoder(data: bytes) -> None:
    """Any slicing means the same, and the speed-ups judge as a regular expression does.

    The first byte gives the slices' length, 0: one slice.
    """
    size = data[0] if data else 0
    whole, is_bad = decode([data[1:]])
    sliced, is_bad_too = decode([data[at : at + size] for at in range(1, len(data), size)] if size else [data[1:]])
    assert is_bad == is_bad_too
    if not is_bad:
        assert whole == sliced
    if speedups.ARE_COMPILED:
        lines = data[1:].split(b"\n")
        count = len(lines) if all(NUMBER_LINE.fullmatch(line) for line in lines) else 0
        assert speedups.count_lines(data + b"\n", min(1, len(data)), len(data) + 1) == count
    for frame in whole:
        if not isinstance(frame, bytes):
            line = encode(frame)
            assert len(line) <= MAX_CONTROL_LINE_BYTES
            assert parse_control_line(line[:-1]) == frame
