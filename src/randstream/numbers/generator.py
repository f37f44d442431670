"""Generator: NumPy's Generator on the words of a stream, and the seeds of its children. Pure.

The words are ours and never change; the numbers that a Generator makes from them are NumPy's, and may change
between its versions (NEP 19).
"""

from __future__ import annotations

import threading
from typing import Any, Final, Self, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from .offsets import check_offset

KEY_WORDS: Final = 4
"""A stream's key as uint32 words, which is what NumPy seeds with."""

_spawning = threading.Lock()


def make_generator(key: tuple[int, int], offset: int) -> np.random.Generator:
    """A Generator whose next word is word `offset` of the stream with `key`."""
    entropy = np.array([*key, offset], "<u8").view("<u4").tolist()
    block, skip = divmod(offset, 4)
    philox = np.random.Philox(StreamSeedSequence(entropy), counter=block)  # counts up before it makes a block
    philox.random_raw(skip, output=False)
    return np.random.Generator(philox)


class StreamSeedSequence(np.random.SeedSequence):
    """NumPy's seed sequence of a stream's key and a generator's offset: six uint32 words, least significant first.

    It differs from NumPy's in one thing: unless it is a child, it seeds a Philox with the stream's own key. A child is
    NumPy's, `SeedSequence(entropy, spawn_key=(n,))`. So it depends on the key, the offset and the path to it, but not
    on what was drawn.
    """

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        state = super().generate_state(n_words, dtype)
        if not self.spawn_key:
            words: Any = self.entropy
            key = np.array(words[:KEY_WORDS], "<u4").view(state.dtype.newbyteorder("<"))
            state[: len(key)] = key[: len(state)]
        return state

    def spawn(self, n_children: SupportsIndex) -> list[Self]:
        """The next children, none of which was given out before. Raises as `check_offset` does.

        NumPy counts children without a lock, and before 2.4 accepts -1: either way a child would come twice.
        """
        count = check_offset(n_children, "n_children")
        with _spawning:
            return super().spawn(count)
