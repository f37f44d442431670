"""Stored: a source of numbers that a store holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError
from ..numbers.distributions import NumberArray, parse_distribution
from ..protocol.runs import Run
from ..store import StoreReader, parse_run, read_runs


@dataclass(frozen=True, slots=True)
class StoredPart:
    """Numbers of a store."""

    run: Run
    dtype: str
    folder: Path

    @property
    def offset(self) -> int:
        return self.run.offset

    @property
    def count(self) -> int:
        return self.run.count

    def lines(self) -> bytes:
        return self.run.lines

    def numbers(self) -> NumberArray:
        return parse_run(self.run, self.dtype, self.folder)


class Stored:
    """What `read_runs` reads. Raises as that does, and SettingsError instead of OSError."""

    total = None

    def __init__(self, path: str, offset: int | None, most: int | None) -> None:
        self._path = path
        self._most = most
        with _readable(path), StoreReader(path, offset) as reader:
            self.dtype = parse_distribution(reader.opened.numbers).dtype
            self._folder = reader.folder
            self._offset = reader.offset

    def count(self) -> int:
        """By reading all of it."""
        self._most = sum(part.count for part in self.parts())
        return self._most

    def parts(self) -> Iterator[StoredPart]:
        with _readable(self._path):
            for run in read_runs(self._path, offset=self._offset, count=self._most):
                yield StoredPart(run, self.dtype, self._folder)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from None
