"""NumberStream: all the numbers meant for one worker, any of them in constant time. Pure.

Number n is made from word n of NumPy's Philox4x64-10, keyed by seed, worker and distribution;
`docs/protocol.md`, "The numbers", is the authority. Only raw words come from NumPy: what its Generator
makes of them may change between versions, the words do not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, SupportsIndex, cast

import numpy as np

from .. import speedups
from ..errors import SettingsError
from ..protocol import MAX_OFFSET, NAME
from .distributions import Bits64, Continuous, Distribution, Integers, NumberArray, Words, parse_distribution
from .generator import make_generator
from .offsets import check_offset, check_range
from .seed import parse_seed
from .text import LONGEST_LINE_BYTES, put_lines, to_lines

FEW: Final = 16
"""Up to this many numbers, Python's arithmetic is faster than starting NumPy's: paced streams draw only one."""
BLOCK: Final = 8192
"""Numbers made at a time: the arrays of a block stay in a core's cache, and malloc keeps their memory."""


class _Thread(threading.local):
    """A generator for each thread. Not one that all of them lock: before NumPy 2.4 its lock is not re-entrant."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(0)


_thread = _Thread()


@dataclass(frozen=True, slots=True, init=False, repr=False)
class NumberStream:
    """The numbers 0 to 2^63 - 2 meant for one worker. Keeps no seed; any thread may call it at any time.

    `seed` is text, or an integer, which means its decimal text. Offsets and counts may be integers of any type,
    including NumPy's. Two streams are equal if their numbers are. Copies and pickles hold the key, a hash of the seed,
    not the seed. Raises SettingsError if the seed, the worker's name or the distribution is not valid.
    """

    id: str
    """16 hex digits: the `stream=` of the wire."""
    worker: str
    distribution: Distribution
    _key: tuple[int, int]

    def __init__(self, seed: str | SupportsIndex, worker: str, distribution: str | Distribution) -> None:
        name = NAME.fullmatch(worker) if isinstance(worker, str) else None
        if name is None:
            raise SettingsError(
                f"{worker!r} is not a worker's name; use 1 to 128 of A-Z a-z 0-9 . _ - with none of . _ - first"
            )
        if isinstance(distribution, type) or not isinstance(distribution, Distribution):  # a class looks like one
            distribution = parse_distribution(cast(str, distribution))
        text = f"randstream-numbers/1\n{parse_seed(seed)}\n{name[0]}\n{distribution.spelling}\n"
        digest = blake2b(text.encode(), digest_size=24).digest()
        key = (int.from_bytes(digest[0:8], "little"), int.from_bytes(digest[8:16], "little"))
        object.__setattr__(self, "id", digest[16:24].hex())
        object.__setattr__(self, "worker", name[0])  # a `str`, whatever kind of text was given
        object.__setattr__(self, "distribution", distribution)
        object.__setattr__(self, "_key", key)

    def __repr__(self) -> str:
        return f"<NumberStream {self.id} worker={self.worker} numbers={self.distribution.spelling}>"

    def read(self, offset: SupportsIndex, count: SupportsIndex, *, out: NumberArray | None = None) -> NumberArray:
        """The `count` numbers from `offset` on, shape (count,).

        Raises TypeError if either is not an integer, ValueError if the stream has no such numbers.

        They are written into `out`, if given, a block at a time, and nothing else of that size is allocated: any
        writeable array of that shape and the distribution's dtype, such as a slice or a memory map. Raises TypeError
        if `out` is not an array or has another dtype, ValueError if it has another shape or is read-only.
        """
        offset, count = check_range(offset, count)
        if out is None:
            out = np.empty(count, self.distribution.dtype)
        else:
            _check_out(out, count, self.distribution)
        self._fill(np.asarray(out), offset)  # the data of a masked array
        return out

    def iter_blocks(
        self, offset: SupportsIndex = 0, count: SupportsIndex | None = None, *, block: SupportsIndex = BLOCK
    ) -> Iterator[NumberArray]:
        """The `count` numbers from `offset` on as arrays of `block` numbers, the last with what is left.

        Each is a new array, which fits a core's cache with the default `block`. None: all to the end of the stream.
        Raises as `read` does, at once.
        """
        start, many = check_range(offset, 0 if count is None else count)
        end = MAX_OFFSET if count is None else start + many
        size = check_offset(block, "block")
        if size == 0:
            raise ValueError("block is 0; give at least 1")
        return (self.read(at, min(size, end - at)) for at in range(start, end, size))

    def generator(self, offset: SupportsIndex = 0) -> np.random.Generator:
        """NumPy's Generator for everything else, on a Philox whose next word is word `offset` of this stream.

        `random_raw` gives the words that the stream's numbers are made from, and goes on beyond its end. What other
        methods make of the words is NumPy's, and may change with its version. Give it a stream of its own: numbers
        read from this one are made from the same words. Its `spawn` gives the same independent children each time.
        Raises TypeError or ValueError if `offset` is not an offset.
        """
        return make_generator(self._key, check_offset(offset))

    def lines(self, offset: SupportsIndex, count: SupportsIndex) -> bytes:
        """Those numbers as text, each ended by LF. Raises as `read` does."""
        return bytes(self.view(offset, count))

    def view(self, offset: SupportsIndex, count: SupportsIndex) -> bytes | memoryview:
        """The same as `lines`, but a view if the numbers are many, which saves a copy. Raises as `read` does.

        A view keeps room for as many lines of the greatest length: short ones are copied, which costs less than that.
        """
        offset, count = check_range(offset, count)
        if count <= FEW:
            return to_lines([self.distribution.from_word(word) for word in self._words(offset, count).tolist()])
        room = np.empty(count * LONGEST_LINE_BYTES, np.uint8)
        if speedups.ARE_COMPILED and isinstance(self.distribution, Integers | Bits64):
            begin = speedups.draw_lines(self._key, offset, count, self.distribution.low, self.distribution.span, room)
            return _view(room[begin:], len(room))
        if speedups.ARE_COMPILED and isinstance(self.distribution, Continuous):
            size = speedups.draw_float_lines(self._key, offset, count, *self.distribution.standard, room)
            return _view(room[:size], len(room))
        size = 0
        end = offset + count
        for start in range(offset, end, BLOCK):
            size += put_lines(self.read(start, min(BLOCK, end - start)), room[size:])
        return _view(room[:size], len(room))

    def _fill(self, numbers: NumberArray, offset: int) -> None:
        """Write the numbers from `offset` on into `numbers`, shape (n,)."""
        distribution = self.distribution
        if speedups.ARE_COMPILED and isinstance(distribution, Continuous) and numbers.flags.carray:
            speedups.draw_floats(self._key, offset, *distribution.standard, numbers)
            return
        for start in range(0, len(numbers), BLOCK):
            part = numbers[start : start + BLOCK]
            part[:] = distribution.from_words(self._words(offset + start, len(part)))

    def _words(self, offset: int, count: int) -> Words:
        """Philox makes words in blocks of four: those before `offset` in its block are thrown away."""
        block, skip = divmod(offset, 4)
        state: Any = {
            "bit_generator": "Philox", "state": {"counter": (block, 0, 0, 0), "key": self._key},
            "buffer": (0, 0, 0, 0), "buffer_pos": 4, "has_uint32": 0, "uinteger": 0,
        }  # fmt: skip
        philox = _thread.philox
        philox.state = state
        return philox.random_raw(skip + count)[skip:]


def _view(lines: NumberArray, room: int) -> bytes | memoryview:
    """`lines`, which keep `room` bytes of memory unless they are copied."""
    return lines.data.toreadonly() if 2 * len(lines) > room else lines.tobytes()


def _check_out(out: NumberArray, count: int, distribution: Distribution) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; give a NumPy array")
    if out.dtype != distribution.dtype:
        raise TypeError(f"out has dtype {out.dtype}, but {distribution.spelling} makes {distribution.dtype}")
    if out.shape != (count,):
        raise ValueError(f"out has shape {out.shape}; give ({count},)")
    if not out.flags.writeable:
        raise ValueError("out is read-only; give an array that can be written")
