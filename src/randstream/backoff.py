"""Backoff: how long to wait before the next attempt, for ever. Pure: the randomness is given."""

from __future__ import annotations

from random import Random
from typing import Final

FIRST_DELAY: Final = 0.1
LONGEST_DELAY: Final = 5.0
"""Seconds. Short enough to find a pod that moved while a person still watches."""
FIRST_SUCCESSION: Final = 5.0
LONGEST_SUCCESSION: Final = 60.0
"""Seconds. A producer that was taken over has a successor: it only checks, ever more rarely."""
FIRST_SPARE: Final = 5.0
LONGEST_SPARE: Final = 60.0
"""Seconds. A worker with a full line of producers needs no other."""


class Backoff:
    """Delays in seconds. "Full jitter" (M. Brooker, "Exponential Backoff And Jitter", 2015): uniform up to the bound,
    so ten thousand links that failed together do not return together. `longest` bounds the ordinary ones.
    """

    def __init__(self, random: Random, longest: float = LONGEST_DELAY) -> None:
        self._random = random
        self._longest = longest
        self._bound = min(FIRST_DELAY, longest)
        self._succession = FIRST_SUCCESSION
        self._spare = FIRST_SPARE

    def reset(self) -> None:
        """The link has proved itself: start over. But not after takeovers: two producers would duel without end."""
        self._bound = min(FIRST_DELAY, self._longest)

    def reset_spare(self) -> None:
        """The link has stood in line: the next time the line is full counts as the first."""
        self._spare = FIRST_SPARE

    def delay(self) -> float:
        """The next delay, up to a bound that doubles to the longest."""
        bound, self._bound = self._bound, min(2 * self._bound, self._longest)
        return self._random.uniform(0, bound)

    def longest_delay(self) -> float:
        """The delay after an end that a quick retry cannot cure."""
        self._bound = self._longest
        return self._random.uniform(0, self._longest)

    def succession_delay(self, held: float) -> float:
        """The delay after a takeover: 5 to 10 s, doubling to 60 s.

        `held` is how long, in seconds, the link had been up: if too long for a rival to have waited, it starts over.
        """
        bound = FIRST_SUCCESSION if held > 2 * LONGEST_SUCCESSION else self._succession
        self._succession = min(2 * bound, LONGEST_SUCCESSION / 2)
        return self._random.uniform(bound, 2 * bound)

    def spare_delay(self) -> float:
        """The delay after a full line: up to 5 s, and a bound that doubles to 60 s."""
        bound, self._spare = self._spare, min(2 * self._spare, LONGEST_SPARE)
        return self._random.uniform(0, bound)
