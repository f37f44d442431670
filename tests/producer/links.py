"""Links: a producer's only link, what it sends up to a beat, and delays without chance."""

from __future__ import annotations

from random import Random

from tests.support.peers import Peer

from randstream.producer.link import Link
from randstream.producer.producer import Producer


def only(producer: Producer) -> Link:
    """The only link of `producer`."""
    (link,) = producer.links
    return link


async def numbers_until_beat(peer: Peer) -> tuple[bytes, bytes]:
    """The number lines up to the next beat, and the beat."""
    numbers = b""
    while not (line := await peer.line()).startswith(b"#"):
        assert line
        numbers += line
    return numbers, line


class Longest(Random):
    """Draws the longest delay each time, and keeps what could have been drawn in `ranges`."""

    def __init__(self) -> None:
        super().__init__(0)
        self.ranges: list[tuple[float, float]] = []

    @property
    def delays(self) -> list[float]:
        """What was drawn."""
        return [longest for _, longest in self.ranges]

    def uniform(self, a: float, b: float) -> float:
        self.ranges.append((a, b))
        return b
