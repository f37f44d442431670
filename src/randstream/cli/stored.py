"""Stored: a source of numbers that a store holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from ..errors import NotStoredError, SettingsError, SinkError
from ..numbers.distributions import NumberArray
from ..numbers.numerals import parse_lines
from ..protocol.runs import Run
from ..store import DamagedStore, Gap, StoreReader, read_runs


@dataclass(frozen=True, slots=True)
class StoredPart:
    """Numbers of a store."""

    run: Run
    dtype: str

    @property
    def offset(self) -> int:
        return self.run.offset

    @property
    def count(self) -> int:
        return self.run.count

    def lines(self) -> bytes:
        return self.run.lines

    def numbers(self) -> NumberArray:
        return parse_lines(self.run.lines, self.run.count, self.dtype)


class Stored:
    """What `read_runs` reads. With `skip_damaged`, standard error shows what is left out.

    Raises as that does, SettingsError instead of OSError, and NotStoredError: number `offset` is still to come.
    """

    total = None

    def __init__(
        self, path: str, offset: int | None, most: int | None, stream: str | None = None, *, skip_damaged: bool = False
    ) -> None:
        self._path = path
        self._offset = offset
        self._most = most
        self._stream = stream
        self._skip_damaged = skip_damaged
        with _readable(path), StoreReader(path, offset, stream=stream, skip=self._skip(_ignore)) as reader:
            self.dtype = reader.dtype or ""
            self._folder = reader.folder.resolve()

    def require_apart(self, path: str) -> None:
        """Raises SettingsError: a file at `path` would lie among the stream's files, or replace one."""
        if Path(path).resolve().parent == self._folder:
            raise SettingsError(
                f"--output {path}: only the worker writes to the stream's folder; name a file elsewhere"
            )

    def count(self) -> int:
        """How many there are, found by reading all of them."""
        self._most = sum(run.count for run in self._runs(_ignore))
        return self._most

    def parts(self) -> Iterator[StoredPart]:
        for run in self._runs(_tell):
            yield StoredPart(run, self.dtype)

    def _runs(self, tell: Callable[[Gap], None]) -> Iterator[Run]:
        is_there = False
        with _readable(self._path):
            for run in read_runs(
                self._path, offset=self._offset, count=self._most, stream=self._stream, skip=self._skip(tell)
            ):
                is_there = True
                yield run
        if self._offset is not None and self._most != 0 and not is_there:
            raise NotStoredError(f"{self._path} holds no offset {self._offset} yet; it is the next to come")

    def _skip(self, tell: Callable[[Gap], None]) -> Callable[[Gap], None] | None:
        return tell if self._skip_damaged else None


def _ignore(gap: Gap) -> None:
    pass


def _tell(gap: Gap) -> None:
    click.echo(f"randstream: {gap}", err=True)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except DamagedStore as error:
        raise SinkError(f"{error}; --skip-damaged prints what still holds after it") from error
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from None
