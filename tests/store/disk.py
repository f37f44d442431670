"""Disk: a file layer in memory that loses power, kills its process and fails calls, as a seed decides.

What a process sees is the cache; what a power loss leaves is the disk, and any subset of what was not synced: 4 KiB
pages, lengths, names. It is meaner than Linux where Linux leaves room:

- A failed sync puts any subset of the dirty pages on the disk, and calls all of them clean.
- `fdatasync` may forget that a file became shorter.
- Names reach the disk in any order until their folder is synced.
- A call that fails may have done its work, or a part of it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from randstream.protocol.frames import Lines

PAGE = 4096


class Dead(BaseException):
    """The process is gone. Not an Exception: nothing may survive it."""


class Inode:
    """A file: `cache` is what processes see, `disk` what a power loss leaves."""

    def __init__(self) -> None:
        self.cache = bytearray()
        self.disk = bytearray()
        self.dirty: set[int] = set()

    def write(self, position: int, data: bytes) -> None:
        end = position + len(data)
        if len(self.cache) < end:
            self.cache.extend(bytes(end - len(self.cache)))
        self.cache[position:end] = data
        self.dirty.update(range(position // PAGE, -(-end // PAGE)))

    def truncate(self, size: int) -> None:
        del self.cache[size:]
        self.dirty = {page for page in self.dirty if page * PAGE < size}
        if size % PAGE:
            self.dirty.add(size // PAGE)

    def settle(self, pages: set[int], size: int) -> None:
        """Let `pages` of the cache and the length `size` reach the disk."""
        del self.disk[size:]
        self.disk.extend(bytes(size - len(self.disk)))
        for page in pages:
            data = self.cache[page * PAGE : min((page + 1) * PAGE, size)]
            self.disk[page * PAGE : page * PAGE + len(data)] = data

    def settle_some(self, random: Random) -> None:
        pages = {page for page in self.dirty if random.random() < 0.5}
        sizes = [len(self.disk), len(self.cache), *(min((page + 1) * PAGE, len(self.cache)) for page in pages)]
        self.settle(pages, random.choice(sizes))

    def lose_power(self, random: Random) -> None:
        self.settle_some(random)
        self.cache = bytearray(self.disk)
        self.dirty = set()

    def evict(self, position: int) -> None:
        for page in range(-(-position // PAGE), -(-len(self.cache) // PAGE)):
            if page not in self.dirty:
                start, end = page * PAGE, min((page + 1) * PAGE, len(self.cache))
                self.cache[start:end] = self.disk[start:end].ljust(end - start, b"\0")


class Folder:
    """Names: as processes see them, as they are on the disk, and the changes on their way there."""

    def __init__(self) -> None:
        self.cache: Names = {}
        self.disk: Names = {}
        self.pending: list[Change] = []

    def change(self, change: Change) -> None:
        """What each name is to stand for; None: nothing. A rename changes two at once."""
        put(self.cache, change)
        self.pending.append(change)

    def settle(self) -> None:
        for change in self.pending:
            put(self.disk, change)
        self.pending = []

    def settle_some(self, random: Random) -> None:
        """Changes overtake each other, but none an older one of the same name."""
        late: list[Change] = []
        for change in self.pending:
            if random.random() < 0.5:
                late = [{name: node for name, node in old.items() if name not in change} for old in late]
                put(self.disk, change)
            else:
                late.append(change)
        self.pending = late

    def lose_power(self, random: Random) -> None:
        self.settle_some(random)
        self.pending = []
        self.cache = dict(self.disk)


Names = dict[str, Inode | Folder]
Change = Mapping[str, Inode | Folder | None]


def put(names: Names, change: Change) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


class Disk:
    """Implements `Files`. The process dies at call `dies_at`, if that is above 0; `fault` is asked at each call
    for the errno to fail with, by the number and the name of the call."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._root = Folder()
        self.calls = 0
        self.dies_at = 0
        self.fault: Callable[[int, str], int | None] = lambda call, name: None

    def lose_power(self) -> None:
        """Start again with what is on the disk."""
        folders = [self._root]
        for folder in folders:
            folder.lose_power(self._random)
            for node in folder.cache.values():
                if isinstance(node, Folder):
                    folders.append(node)
                else:
                    node.lose_power(self._random)

    def contents(self, folder: Path) -> dict[str, bytes]:
        """The files of `folder` as processes see them; none if there is no such folder."""
        try:
            names = self._folder(folder).cache
        except FileNotFoundError:
            return {}
        return {name: bytes(node.cache) for name, node in names.items() if isinstance(node, Inode)}

    def create(self, path: Path) -> DiskFile:
        self._step("create")
        folder = self._folder(path.parent)
        inode = folder.cache.get(path.name)
        if isinstance(inode, Inode):
            inode.truncate(0)
        else:
            inode = Inode()
            folder.change({path.name: inode})
        return DiskFile(self, inode, self._random)

    def open(self, path: Path, *, writable: bool = False) -> DiskFile:
        self._step("open")
        return DiskFile(self, self._inode(path), self._random)

    def lock(self, path: Path) -> DiskFile:
        self._step("lock")
        return DiskFile(self, Inode(), self._random)

    def size(self, path: Path) -> int:
        self._step("size")
        return len(self._inode(path).cache)

    def names(self, folder: Path) -> list[str]:
        self._step("names")
        return list(self._folder(folder).cache)

    def is_folder(self, folder: Path) -> bool:
        try:
            self._folder(folder)
        except FileNotFoundError:
            return False
        return True

    def make_folder(self, folder: Path) -> None:
        parent = self._folder(folder.parent)
        if folder.name in parent.cache:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
        self._change("make_folder", parent, {folder.name: Folder()})

    def rename(self, old: Path, new: Path) -> None:
        change = {old.name: None, new.name: self._inode(old)}
        self._change("rename", self._folder(old.parent), change)

    def unlink(self, path: Path) -> None:
        self._inode(path)
        self._change("unlink", self._folder(path.parent), {path.name: None})

    def sync_folder(self, folder: Path) -> None:
        node = self._folder(folder)
        if (trouble := self.trouble("sync_folder")) is not None:
            node.settle_some(self._random)
            raise trouble
        node.settle()

    def trouble(self, name: str) -> BaseException | None:
        """What happens to this call, if anything."""
        self.calls += 1
        if 0 < self.dies_at <= self.calls:
            return Dead()
        number = self.fault(self.calls, name)
        return None if number is None else OSError(number, os.strerror(number))

    def _step(self, name: str) -> None:
        if (trouble := self.trouble(name)) is not None:
            raise trouble

    def _change(self, name: str, folder: Folder, change: Change) -> None:
        trouble = self.trouble(name)
        if trouble is None or self._random.random() < 0.5:
            folder.change(change)
        if trouble is not None:
            raise trouble

    def _folder(self, path: Path) -> Folder:
        node = self._root
        for name in path.parts[1:]:
            child = node.cache.get(name)
            if not isinstance(child, Folder):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
            node = child
        return node

    def _inode(self, path: Path) -> Inode:
        node = self._folder(path.parent).cache.get(path.name)
        if not isinstance(node, Inode):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return node


class DiskFile:
    """Implements `File`."""

    def __init__(self, disk: Disk, inode: Inode, random: Random) -> None:
        self._disk = disk
        self._inode = inode
        self._random = random

    def size(self) -> int:
        self._step("size")
        return len(self._inode.cache)

    def read(self, position: int, count: int) -> bytes:
        self._step("read")
        return bytes(self._inode.cache[position : position + count])

    def write(self, position: int, chunks: Sequence[Lines]) -> None:
        data = b"".join(chunks)
        if (trouble := self._disk.trouble("write")) is not None:
            self._inode.write(position, data[: self._random.randrange(len(data))])
            raise trouble
        self._inode.write(position, data)

    def truncate(self, size: int) -> None:
        trouble = self._disk.trouble("truncate")
        if trouble is None or self._random.random() < 0.5:
            self._inode.truncate(size)
        if trouble is not None:
            raise trouble

    def fdatasync(self) -> None:
        self._sync("fdatasync", keeps_cuts=self._random.random() < 0.5)

    def fsync(self) -> None:
        self._sync("fsync", keeps_cuts=True)

    def evict(self, position: int) -> None:
        self._step("evict")
        self._inode.evict(position)

    def close(self) -> None:
        self._step("close")

    def _sync(self, name: str, *, keeps_cuts: bool) -> None:
        inode = self._inode
        trouble = self._disk.trouble(name)
        if isinstance(trouble, OSError):
            inode.settle_some(self._random)
            inode.dirty = set()
        if trouble is not None:
            raise trouble
        size = len(inode.cache) if keeps_cuts else max(len(inode.cache), len(inode.disk))
        inode.settle(inode.dirty, size)
        inode.dirty = set()

    def _step(self, name: str) -> None:
        if (trouble := self._disk.trouble(name)) is not None:
            raise trouble
