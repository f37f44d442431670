"""Layout: what a store's files are called, how a segment begins, what counts as damage. Changes nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..errors import RemoteProtocolError, SettingsError, SinkError
from ..protocol import MAX_CONTROL_LINE_BYTES, MAX_OFFSET
from ..protocol.frames import Beat, Open, encode, parse_control_line
from .files import File, Files

_SEGMENT: Final = re.compile(r"([0-9]{20})\.numbers")
_UNBORN: Final = re.compile(r"[0-9]{20}\.tmp")
_FIRST_BEAT: Final = re.compile(rb"#beat offset=(0|[1-9][0-9]{0,18}) crc=00000000(?: t=[0-9]{1,20})?")
_STREAM_FOLDER: Final = re.compile(r"(.+)-([0-9a-f]{16})")
_LOCK: Final = re.compile(r".+\.lock")
_OF_NFS: Final = ".nfs"
"""NFS gives this name to a file that was removed while it was open: it goes by itself."""
_WHAT_TO_GIVE: Final = "give a worker's --store folder, a stream's folder in it, or a .numbers file"


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that no crash can leave in a store."""

    path: Path
    position: int
    """The byte of the file where it begins."""
    offset: int | None
    """The first number it concerns, where that is known."""
    what: str
    """What is wrong, and what to do about it if that is not plain."""

    def __str__(self) -> str:
        number = "" if self.offset is None else f" (offset {self.offset})"
        return f"{self.path}: byte {self.position}{number}: {self.what}"


class DamagedStore(SinkError):
    """The store holds what no crash can leave behind. Nothing in it was changed: a person has to decide."""

    needs_person = True

    def __init__(self, damage: Damage) -> None:
        super().__init__(str(damage))
        self.damage = damage


@dataclass(frozen=True, slots=True)
class Header:
    """How a segment begins: its `#open` and its first beat."""

    opened: Open
    first: int
    """Offset of the segment's first number."""
    size: int
    """Bytes, up to and with the first beat's LF."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a stream's folder holds."""

    firsts: tuple[int, ...]
    """The first offset of each segment, ascending."""
    unborn: tuple[Path, ...]
    """Temporary files of segments whose birth a crash ended."""
    foreign: tuple[Path, ...]
    """What no store makes. It is reported, and left alone."""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """Where a stream's segments are: in a folder, or one of them alone."""

    folder: Path
    only: int | None = None
    """The first offset of the one segment that is meant; None: all."""

    @property
    def path(self) -> Path:
        """The folder, or the one segment."""
        return self.folder if self.only is None else segment_path(self.folder, self.only)

    def firsts(self, files: Files) -> tuple[int, ...]:
        """The first offset of each segment there now, ascending, and at least one.

        Raises OSError, and SettingsError if they are gone.
        """
        firsts = list_folder(files, self.folder).firsts if self.only is None else (self.only,)
        if not firsts:
            raise SettingsError(f"{self.folder} no longer holds a segment")
        return firsts


def stream_folder(store: Path, worker: str, stream: str) -> Path:
    """Where a stream is kept."""
    return store / f"{worker}-{stream}"


def lock_path(store: Path, worker: str) -> Path:
    """The lock that the process that is `worker` holds for life."""
    return store / f"{worker}.lock"


def segment_path(folder: Path, first: int) -> Path:
    """The segment whose first number has offset `first`."""
    return folder / f"{first:020d}.numbers"


def unborn_path(folder: Path, first: int) -> Path:
    """The same segment while it is made."""
    return folder / f"{first:020d}.tmp"


def segment_first(path: Path) -> int | None:
    """The first offset that a segment's name states; None if it is no segment's name."""
    named = _SEGMENT.fullmatch(path.name)
    return int(named[1]) if named and int(named[1]) <= MAX_OFFSET else None


def find_streams(files: Files, path: Path) -> list[StoredStream]:
    """The streams that a user means by `path`: a store, a stream's folder or one segment.

    Raises OSError, and SettingsError: it is none of them, or a store without a stream.
    """
    if not files.is_folder(path):
        if (first := segment_first(path)) is None:
            raise SettingsError(f"{path} is not a store; {_WHAT_TO_GIVE}")
        return [StoredStream(path.parent, first)]
    if list_folder(files, path).firsts:
        return [StoredStream(path)]
    folders = [path / name for name in sorted(files.names(path)) if _STREAM_FOLDER.fullmatch(name)]
    streams = [StoredStream(each) for each in folders if may_hold_stream(files, each)]
    if not streams:
        raise SettingsError(f"{path} holds no stream; {_WHAT_TO_GIVE}")
    return streams


def choose_stream(streams: Sequence[StoredStream], path: Path, wanted: str | None) -> StoredStream:
    """The one of the `streams` at `path` that is `wanted`, by its id, its worker or its folder.

    Raises SettingsError: none of them is, or more than one, or there are several and `wanted` is None.
    """
    found = [stream for stream in streams if wanted is None or wanted in _names(stream)]
    if len(found) == 1:
        return found[0]
    choices = ", ".join(stream.folder.name for stream in found or streams)
    if found:
        what = f"{len(found)} streams" if wanted is None else f"{len(found)} streams called {wanted!r}"
        raise SettingsError(f"{path} holds {what}; choose with --stream (in Python: stream=) one of {choices}")
    raise SettingsError(f"{path} holds no stream {wanted!r}; give the id, the worker or the folder of one of {choices}")


def _names(stream: StoredStream) -> tuple[str | Any, ...]:
    name = stream.folder.resolve().name
    parts = _STREAM_FOLDER.fullmatch(name)
    return (name, *parts.groups()) if parts else (name,)


def find_foreign(files: Files, store: Path) -> tuple[Path, ...]:
    """What no store makes, besides the streams' folders in `store`; nothing if it is not a store. Raises OSError."""
    if not files.is_folder(store) or list_folder(files, store).firsts:
        return ()
    names = [name for name in sorted(files.names(store)) if not name.startswith(_OF_NFS)]
    ours = [name for name in names if _LOCK.fullmatch(name) or _STREAM_FOLDER.fullmatch(name)]
    return tuple(store / name for name in names if name not in ours)


def find_other_streams(files: Files, store: Path, worker: str, stream: str) -> tuple[Path, ...]:
    """What is named like the folder of a stream of `worker`, other than `stream`. Raises OSError."""
    named = [_STREAM_FOLDER.fullmatch(name) for name in sorted(files.names(store))]
    return tuple(store / each[0] for each in named if each and each[1] == worker and each[2] != stream)


def may_hold_stream(files: Files, folder: Path) -> bool:
    """Whether `folder` is one and has a segment, as far as can be told."""
    try:
        return files.is_folder(folder) and bool(list_folder(files, folder).firsts)
    except OSError:
        return True  # reading it will say why it cannot be read


def list_folder(files: Files, folder: Path) -> Listing:
    """Raises OSError."""
    firsts, unborn, foreign = [], [], []
    for name in sorted(files.names(folder)):
        path = folder / name
        first = segment_first(path)
        if first is None and not _UNBORN.fullmatch(name):
            if not name.startswith(_OF_NFS):
                foreign.append(path)
        elif files.is_folder(path):
            foreign.append(path)
        elif first is None:
            unborn.append(path)
        else:
            firsts.append(first)
    return Listing(tuple(firsts), tuple(unborn), tuple(foreign))


def find_stranger(header: Header, path: Path, opened: Open) -> Damage | None:
    """What is wrong with segment `path` if its stream is not that of the others, which `opened` describes."""
    held = header.opened
    if (held.worker, held.stream, held.numbers) == (opened.worker, opened.stream, opened.numbers):
        return None
    of = f"stream {held.stream} ({held.numbers}) of {held.worker}"
    what = f"{of} among segments of {opened.stream}; move the file away, and restore what belongs here from a copy"
    return Damage(path, 0, header.first, what)


def encode_header(opened: Open, first: int) -> bytes:
    """The lines a segment is born with. The beat proves no numbers, and has no time."""
    return encode(replace(opened, instance=None)) + encode(Beat(first, 0, "0"))


def read_header(file: File, path: Path) -> Header:
    """How the segment `path` begins.

    Raises OSError, and DamagedStore: it does not begin as a segment is born, or has another segment's name.
    """
    lines = file.read(0, 2 * MAX_CONTROL_LINE_BYTES).split(b"\n", 2)
    position = 0
    try:
        if len(lines) < 3:
            raise ValueError("the header is cut short")
        opened = parse_control_line(lines[0])
        if not isinstance(opened, Open):
            raise ValueError("the first line is not an #open")
        position = len(lines[0]) + 1
        beat = _FIRST_BEAT.fullmatch(lines[1])
        if beat is None:
            raise ValueError("the second line is not a first beat")
        first = int(beat[1])
        if first != segment_first(path) or first > MAX_OFFSET:
            raise ValueError(f"the name is not that of the first offset, {first}")
    except RemoteProtocolError as error:
        what = f"the header is not valid: {error}"
    except ValueError as error:
        what = str(error)
    else:
        return Header(opened, first, position + len(lines[1]) + 1)
    advice = "no crash does this: restore the file from a copy, or move the folder away to start over"
    raise DamagedStore(Damage(path, position, segment_first(path), f"{what}; {advice}"))
