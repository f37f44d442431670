"""Recovery: any bytes as the last segment of a store."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Final

from tests.store.disk import Disk
from tests.store.streams import OFFERED

from randstream.protocol.frames import crc32c
from randstream.store.layout import DamagedStore, encode_header, list_folder, segment_path
from randstream.store.recovery import recover

FOLDER: Final = Path("/store")
HEADER: Final = encode_header(OFFERED, 7)
BEAT: Final = re.compile(rb"#beat offset=(0|[1-9][0-9]{0,18}) crc=([0-9a-f]{8})(?: t=[0-9]{1,20})?\n")
RUN: Final = re.compile(rb"(?:[0-9-][0-9.e+-]{0,62}\n)*")


def heal(text: bytes) -> bytes:
    """Replace each `crc=????????` by the right one: what chance would never find."""
    parts = text.split(b"crc=????????")
    healed = parts[0]
    for part in parts[1:]:
        start = healed.rfind(b"\n#beat ", 0, healed.rfind(b"#"))
        run = healed[healed.find(b"\n", start + 1) + 1 : healed.rfind(b"#")]
        healed += b"crc=%08x%s" % (crc32c(run), part)
    return healed


def intact(text: bytes) -> tuple[int, int]:
    """How many bytes of a segment hold, and the offset after them: a second reading of the rule."""
    position, offset = len(HEADER), 7
    while (hash_at := text.find(b"#", position)) >= 0:
        beat = BEAT.match(text, hash_at)
        run = text[position:hash_at]
        if beat is None or not RUN.fullmatch(run):
            break
        if int(beat[1]) != offset + run.count(b"\n") or int(beat[2], 16) != crc32c(run):
            break
        position, offset = beat.end(), int(beat[1])
    return position, offset


def write(disk: Disk, path: Path, text: bytes) -> None:
    file = disk.create(path)
    file.write(0, [text])
    file.close()


def fuzz_recovery(data: bytes) -> None:
    """A segment that ends, or if the first byte is odd begins, with whatever is there; after recovery it holds."""
    text = heal(HEADER + data[1:]) if not data or data[0] % 2 == 0 else data[1:]
    disk = Disk(Random(0))
    disk.make_folder(FOLDER)
    path = segment_path(FOLDER, 7)
    write(disk, path, text)
    try:
        found = recover(disk, FOLDER, list_folder(disk, FOLDER), OFFERED)
    except DamagedStore:
        assert not text.startswith(HEADER)
        return
    assert found is not None
    segment, recovery = found
    segment.close()
    after = disk.open(path).read(0, len(text) + 1)
    assert text.startswith(after)
    assert recovery.kept_bytes == len(after)
    assert recovery.kept_bytes + recovery.cut_bytes == len(text)
    if text.startswith(HEADER):
        assert (recovery.kept_bytes, recovery.offset) == intact(text)
    again = recover(disk, FOLDER, list_folder(disk, FOLDER), OFFERED)
    assert again is not None
    again[0].close()
    assert again[1].cut_bytes == 0
