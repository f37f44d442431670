"""Formats: numbers as text, CSV, raw words or a NumPy file. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Final, Protocol

import numpy as np

from ..numbers.distributions import NumberArray
from ..numbers.text import to_csv


class Part(Protocol):
    """One or more consecutive numbers of a stream, from number `offset` on."""

    @property
    def offset(self) -> int: ...

    @property
    def count(self) -> int: ...

    def lines(self) -> bytes | memoryview:
        """As text, each ended by LF."""

    def numbers(self) -> NumberArray:
        """As an array, shape (count,)."""


class Source(Protocol):
    """Numbers in the order of their offsets."""

    @property
    def dtype(self) -> str:
        """NumPy's name for their type; empty: unknown."""

    @property
    def total(self) -> int | None:
        """How many there are, if that is known without reading them."""

    def count(self) -> int | None:
        """How many there are; after this, `parts` gives no more than these. None: they have no end."""

    def parts(self) -> Iterator[Part]:
        """All of them, from the start each time."""


class Format(Protocol):
    """How numbers are written: a head, then each part."""

    is_binary: bool
    is_counted: bool
    """Whether the head states how many numbers follow."""

    def head(self, dtype: str, count: int | None) -> bytes:
        """What comes first. `dtype`: NumPy's name for the numbers' type; `count`: how many, if `is_counted`."""

    def spell(self, part: Part) -> bytes | memoryview:
        """`part`, as it follows the head and the parts before it."""


class Text:
    """One number a line, as on the wire and in a store."""

    is_binary = False
    is_counted = False

    def head(self, dtype: str, count: int | None) -> bytes:
        return b""

    def spell(self, part: Part) -> bytes | memoryview:
        return part.lines()


class Csv:
    """`offset,number` under a header. Lines end with LF, which pandas and DuckDB write, and awk and cut read."""

    is_binary = False
    is_counted = False

    def head(self, dtype: str, count: int | None) -> bytes:
        return b"offset,number\n"

    def spell(self, part: Part) -> bytes | memoryview:
        return to_csv(part.lines(), part.offset, part.count)


class Raw:
    """Eight bytes a number, little-endian: int64, uint64 (bits64) or float64."""

    is_binary = True
    is_counted = False

    def head(self, dtype: str, count: int | None) -> bytes:
        return b""

    def spell(self, part: Part) -> memoryview:
        numbers = part.numbers()
        return np.ascontiguousarray(numbers, numbers.dtype.newbyteorder("<")).view(np.uint8).data


class Npy(Raw):
    """A NumPy file: `raw` after a header, for `numpy.load`. Source: NumPy, "NEP 1", format version 1.0."""

    is_counted = True

    def head(self, dtype: str, count: int | None) -> bytes:
        assert count is not None
        out = BytesIO()
        descr = np.dtype(dtype).newbyteorder("<").str
        np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": (count,)})
        return out.getvalue()


FORMATS: Final[dict[str, Format]] = {"text": Text(), "csv": Csv(), "raw": Raw(), "npy": Npy()}
