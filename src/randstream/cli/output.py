"""Output: numbers in a format, to standard output or to a file, which appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from ..errors import SettingsError, SinkError
from .completion import FILE
from .endings import orderly_end
from .standard import open_output, remedy

if TYPE_CHECKING:
    from .formats import Source

FORMATS: Final = ("text", "csv", "raw", "npy")
STANDARD: Final = "-"
"""As a file: standard output."""


def output_options(command: Any) -> Any:
    """Give a click command `--format` and `--output`."""
    for option in (
        click.option(
            "--output", type=FILE,
            help="Write to FILE, with progress on a terminal. FILE appears, or is replaced, only once it is whole."
            " Default: standard output.",
        ),
        click.option(
            "--format", "format_name", type=click.Choice(FORMATS), default=FORMATS[0],
            help="One number a line; offset,number with a header; 8 bytes a number, little-endian, as integers or, for"
            " real numbers, floats; a NumPy file. Default: text.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def write_numbers(source: Source, format_name: str, path: str | None) -> None:
    """Write all of `source` to `path` (None: standard output), with progress on a terminal if that is a file.

    Raises SettingsError: it cannot be written there; SinkError: writing the file failed. Errors of standard output are
    raised as they are.
    """
    from . import formats

    form = formats.FORMATS[format_name]
    count = source.count() if form.is_counted else source.total
    if form.is_counted and count is None:
        raise SettingsError(f"{format_name} states how many numbers follow, and these have no end; give --count N")
    if form.is_binary and not source.dtype:
        raise SettingsError(f"{format_name} needs a distribution that this version knows; give text")
    with opened_output(path) as out, _progress(count, is_shown=path not in (None, STANDARD)) as advance:
        if form.is_binary and out.isatty():
            raise SettingsError(
                f"{format_name} is binary, and this is a terminal; give --output FILE, > FILE or | PROGRAM"
            )
        out.write(form.head(source.dtype, count))
        for part in source.parts():
            out.write(form.spell(part))
            advance(part.count)


def require_output() -> None:
    """Raises SettingsError: standard output is closed."""
    if sys.stdout is None:
        raise SettingsError("standard output is closed; send it somewhere, such as > numbers.txt")


def require_writable(path: str, option: str) -> None:
    """Raises SettingsError: `opened_output` could not open `path`, given by `option`. Leaves `path` as it is."""
    if path == STANDARD:
        require_output()
        return
    mode = _mode(_named(path, option), option)
    if mode is None or stat.S_ISREG(mode):
        whole = _whole(Path(path), option)
        if mode is not None:
            _open(whole, "r+b", option).close()
        part = _part_of(whole)
        _open(part, "xb", option, whole).close()
        part.unlink()
    elif stat.S_ISDIR(mode) or not os.access(path, os.W_OK):  # opening a pipe could wait for its reader
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EACCES
        raise _unusable(Path(path), option, OSError(number, os.strerror(number)))


def is_same(path: str, other: str) -> bool:
    """Whether both paths are one file, of which only the last write would remain."""
    return os.path.realpath(path) == os.path.realpath(other)


def opened_output(path: str | None, option: str = "--output") -> AbstractContextManager[IO[bytes]]:
    """Open `path`, given by `option`, for writing; None or `-`: standard output.

    A file gets its name at the end, if nothing has failed. Raises as `write_numbers` does.
    """
    if path is None or path == STANDARD:
        require_output()
        return open_output()
    return _opened_file(_named(path, option), option)


@contextmanager
def _opened_file(path: Path, option: str) -> Iterator[IO[bytes]]:
    mode = _mode(path, option)
    is_special = mode is not None and not stat.S_ISREG(mode)  # a device or a pipe: a file must not replace it
    try:
        with _open(path, "wb", option) if is_special else _replacement(path, mode, option) as out:
            yield out
    except BrokenPipeError:
        raise
    except OSError as error:  # in writing, or even in closing
        raise SinkError(f"cannot write {path}: {error.strerror}; {remedy(error)}") from None


@contextmanager
def _replacement(path: Path, mode: int | None, option: str) -> Iterator[IO[bytes]]:
    """A file that replaces `path` at the end, with the same `mode`; if anything fails, `path` is left as it was."""
    path = _whole(path, option)
    if mode is not None:
        _open(path, "r+b", option).close()  # no right to write it, no right to replace it
    part = _part_of(path)
    with orderly_end() as ending, ending.held(), _open(part, "xb", option, path) as out:
        try:
            if mode is not None:
                os.fchmod(out.fileno(), stat.S_IMODE(mode))
            with ending.heeded():
                yield out
            out.flush()
            os.fsync(out.fileno())
            part.replace(path)
        except BaseException:
            part.unlink()
            raise


def _named(path: str, option: str) -> Path:
    if not path:  # such as "$FILE" when unset; Path("") would be the current folder
        raise SettingsError(f"{option} '': no file is named; name a file that can be written")
    return Path(path)


def _whole(path: Path, option: str) -> Path:
    """What `path` names: where it is a link, that stays one."""
    try:
        return Path(os.path.realpath(path))
    except OSError as error:  # the current folder is gone
        raise _unusable(path, option, error) from None


def _part_of(path: Path) -> Path:
    """Where the file is written until it is whole."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")


def _mode(path: Path, option: str) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, option, error) from None


def _open(path: Path, mode: str, option: str, given: Path | None = None) -> IO[bytes]:
    try:
        return path.open(mode)
    except OSError as error:
        raise _unusable(given or path, option, error) from None


def _unusable(path: Path, option: str, error: OSError) -> SettingsError:
    return SettingsError(f"{option} {path}: {error.strerror}; name a file that can be written")


@contextmanager
def _progress(total: int | None, *, is_shown: bool) -> Iterator[Callable[[int], object]]:
    """A function to call with how many more numbers are written; it shows progress if standard error is a terminal."""
    if not (is_shown and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda count: None
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from .console import shown_progress  # rich, too

    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.completed:,.0f} numbers"), TimeRemainingColumn()
    with shown_progress(*columns, total=total) as update:
        yield lambda count: update(advance=count)
