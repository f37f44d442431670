"""Recovery: finds out how much of a stream is stored, cuts off what is not whole, and makes the rest durable."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from ..errors import OfferError
from ..protocol.frames import Open
from .chain import find_gap
from .files import File, Files
from .layout import Damage, DamagedStore, Header, Listing, find_stranger, read_header, segment_path
from .segment import Segment
from .walk import walk_from_beat, walk_from_start

RECOVERY_BYTES: Final = 80 * 2**20
"""How much of a segment's end is checked: all that one commit may have left undone, and some that is durable."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a recovery found and did: facts for a log."""

    path: Path
    """The last segment."""
    offset: int
    """Offset of the next number."""
    kept_bytes: int
    cut_bytes: int


def recover(files: Files, folder: Path, listing: Listing, offered: Open) -> tuple[Segment, Recovery] | None:
    """Make `folder`, whose contents are `listing`, end durably with a valid beat; None: it has no segment yet.

    Raises OSError: not now; OfferError: its stream is of other numbers; DamagedStore: it holds what no crash leaves, or
    another stream. Nothing was changed.
    """
    others = _check_chain(files, folder, listing.firsts)
    if not listing.firsts:
        return None
    path = segment_path(folder, listing.firsts[-1])
    file = files.open(path, writable=True)
    try:
        header = read_header(file, path)
        _check_stream(header, path, offered)
        for other, other_path in others:
            if damage := find_stranger(other, other_path, header.opened):
                raise DamagedStore(damage)
        recovery = _recover_segment(file, path, header)
        for unborn in listing.unborn:
            files.unlink(unborn)
        files.sync_folder(folder)
    except Exception:
        file.close()
        raise
    return Segment(path, file, recovery.kept_bytes, recovery.offset), recovery


def _recover_segment(file: File, path: Path, header: Header) -> Recovery:
    size = file.size()
    zone = max(size - RECOVERY_BYTES, 0)
    # What can be read may be only in the page cache: not yet written, or never to be, if a sync failed in an
    # earlier process. So write what can be written, then read what is on the disk.
    file.fdatasync()
    file.evict(zone)
    walk = walk_from_start(file, header) if zone <= header.size else walk_from_beat(file, zone)
    if walk is None:
        raise DamagedStore(Damage(path, zone, None, "no beat where one must be; restore the file from a copy"))
    while walk.next_run() is not None:
        pass
    if walk.position < size:
        file.truncate(walk.position)
        file.fsync()
    return Recovery(path, walk.offset, walk.position, size - walk.position)


def _check_stream(header: Header, path: Path, offered: Open) -> None:
    held = header.opened
    if (held.worker, held.stream) == (offered.worker, offered.stream) and held.numbers != offered.numbers:
        raise OfferError(f"{path.parent} holds stream {held.stream} as {held.numbers}, not as {offered.numbers}")
    if (held.worker, held.stream) != (offered.worker, offered.stream):
        what = (
            f"this is stream {held.stream} ({held.numbers}) of {held.worker}, and the producer offers "
            f"{offered.stream} ({offered.numbers}); give the folder its own name back, or move it away"
        )
        raise DamagedStore(Damage(path, 0, header.first, what))


def _check_chain(files: Files, folder: Path, firsts: Sequence[int]) -> list[tuple[Header, Path]]:
    """Refuse a gap between segments: what follows it would be no prefix. The headers of all but the last."""
    headers = []
    for first, following in pairwise(firsts):
        path = segment_path(folder, first)
        with closing(files.open(path)) as file:
            damage = find_gap(file, path, following)
            with suppress(DamagedStore):  # one that cannot be read is for `verify` to report
                headers.append((read_header(file, path), path))
        if damage is not None:
            raise DamagedStore(damage)
    return headers
