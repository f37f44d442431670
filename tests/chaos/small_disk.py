"""Small disks: a tmpfs that fills up, and an ext4 that turns read-only while it is written."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOM: tuple[int, ...] = (2**16, 2**12)
"""Sizes in bytes of the pieces that fill a disk: down to a page, so that no room is left."""


@contextlib.contextmanager
def small_tmpfs(folder: Path, size: str = "2m") -> Iterator[Path]:
    """A tmpfs at `folder`, unmounted when the block ends. Skips the test where that is not possible."""
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={size}", "randstream-chaos"):
        yield folder


@contextlib.contextmanager
def small_ext4(folder: Path, image: Path) -> Iterator[Path]:
    """An ext4 in the file `image`, mounted at `folder` like `small_tmpfs`."""
    image.touch()
    os.truncate(image, 2**24)
    _run_or_skip("mkfs.ext4", "-q", "-F", str(image))
    with _mounted(folder, "-o", "loop", str(image)):
        yield folder


def remount(folder: Path, option: str) -> None:
    """`ro` (nobody may be writing), `rw`, or ext4's `abort`: read-only at once, as after an error of the disk."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def mount_again(folder: Path, image: Path) -> None:
    """Repair it as an operator would: unmount, check, mount."""
    subprocess.run(["umount", str(folder)], check=True)
    subprocess.run(["e2fsck", "-p", "-f", str(image)], check=False, stdout=subprocess.DEVNULL)  # 1: repaired
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill the disk; the file to remove to free it again."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in ROOM:
            with contextlib.suppress(_Full):
                while True:
                    _write(file.fileno(), piece)
    return ballast


class _Full(Exception):
    """No space is left."""


def _write(fd: int, size: int) -> None:
    try:
        if os.write(fd, bytes(size)) < size:
            raise _Full
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _Full from None
        raise


@contextlib.contextmanager
def _mounted(folder: Path, *how: str) -> Iterator[None]:
    folder.mkdir()
    _run_or_skip("mount", *how, str(folder))
    try:
        yield
    finally:
        if subprocess.run(["umount", str(folder)], check=False, stderr=subprocess.DEVNULL).returncode:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)  # the processes are dead by now


def _run_or_skip(*command: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]} here")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{' '.join(command)}: {error.stderr.strip()}")
