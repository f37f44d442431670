"""What the cases against a producer speak with: connections that it made, on which this suite is the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from ..numbers.distributions import is_canonical
from .engine import PATIENCE, BrokenRuleError, Conversation, NotPlayedError
from .wire import Line, Run, crc32c

LONGEST_DELAY: Final = 5.0
"""Seconds: the longest that a producer waits until it dials again, but after `takeover` and `spare`."""
SLACK: Final = 2.0
"""Seconds that a dial may take longer than its delay."""


class Guest(Conversation):
    """A connection that the producer made. Its numbers are counted and its beats are checked as they are taken."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        host, port = writer.get_extra_info("sockname")[:2]
        self.dialled = f"{host}:{port}"
        """The address that the producer dialled."""
        self.opened: Line
        self.offset = 0
        """Of the next number."""
        self.heartbeat = 0.0
        self._interval_crc = 0

    async def greet(self, name: str, within: float = PATIENCE, more: str = "") -> Line:
        """Say `#hello`; the producer's `#open`, which names this worker and can be right."""
        self.say(f"#hello randstream/1 worker={name}{more}")
        self.opened = await self.expect("#open", within)
        if self.opened.keys["worker"] != name:
            raise BrokenRuleError(f"#open worker={name} ...", self.opened)
        if not is_canonical(self.opened.keys["numbers"]):
            raise BrokenRuleError("numbers= in its canonical spelling", self.opened)
        self.heartbeat = float(self.opened.keys["heartbeat"])
        return self.opened

    def require_short_heartbeat(self) -> None:
        """Raises NotPlayedError if beats come too seldom for a case about time."""
        if self.heartbeat > 2.0:
            raise NotPlayedError(f"the heartbeat is {self.heartbeat:g} s; start the producer with 2 s or less")

    async def resume(self, offset: int | None = 0, more: str = "") -> Line:
        """Say `#resume`; the opening beat, which must be right."""
        self.say("#resume" + ("" if offset is None else f" offset={offset}") + more)
        return await self.opening_beat(offset)

    async def opening_beat(self, offset: int | None) -> Line:
        """The opening beat, at `offset` if one was named."""
        opening = await self.expect("#beat")
        wanted = f"#beat offset={'N' if offset is None else offset} crc=00000000 t=..."
        if opening.keys["crc"] != "00000000" or (offset is not None and opening.number("offset") != offset):
            raise BrokenRuleError(wanted, opening)
        self.offset = opening.number("offset")
        self._interval_crc = 0
        return opening

    async def serve(self, name: str, offset: int | None = 0) -> Line:
        """Do all up to the ack of the opening beat, which is returned."""
        await self.greet(name)
        opening = await self.resume(offset)
        self.ack(opening)
        return opening

    def ack(self, beat: Line) -> None:
        """Answer `beat`."""
        self.say(f"#ack offset={beat.keys['offset']} t={beat.keys['t']}")

    async def beat(self, within: float | None = None, each: Callable[[bytes], None] | None = None) -> Line:
        """The next beat, after numbers which `each` gets. Its offset and CRC must be right."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (1.25 * self.heartbeat + PATIENCE if within is None else within)
        while True:
            item = await self.take(max(0.0, deadline - loop.time()))
            if isinstance(item, Run):
                self.offset += item.count
                self._interval_crc = crc32c(item.lines, self._interval_crc)
                if each is not None:
                    each(item.lines)
            elif isinstance(item, Line) and item.verb == "#beat":
                wanted = f"#beat offset={self.offset} crc={self._interval_crc:08x}"
                if not item.text.startswith(wanted + " ") and item.number("offset") != self.offset:
                    raise BrokenRuleError(wanted, item)
                if item.keys["crc"] != f"{self._interval_crc:08x}":
                    raise BrokenRuleError(wanted, item)
                self._interval_crc = 0
                return item
            else:
                raise BrokenRuleError("#beat", item or "nothing in time")

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Ack once a heartbeat for the block, and nothing new."""
        acked = self.offset

        async def ack_on() -> None:
            while True:
                self.say(f"#ack offset={acked}")
                await asyncio.sleep(self.heartbeat)

        task = asyncio.create_task(ack_on())
        try:
            yield
        finally:
            task.cancel()

    async def progress(self) -> Line:
        """Ack numbers, so that the producer's delays start over; the beat that was acked."""
        first = self.offset
        for _ in range(8):
            beat = await self.beat()
            self.ack(beat)
            if beat.number("offset") > first:
                await asyncio.sleep(0.05)  # the ack is to arrive before whatever the case does
                return beat
        raise NotPlayedError("the producer sends no numbers")


class Link:
    """One address that the producer dials, and the connections that come there."""

    def __init__(self, number: int, seed: str | None) -> None:
        self.seed = seed
        """What the producer was started with, if that is known."""
        self.guests: asyncio.Queue[Guest] = asyncio.Queue()
        self.taken: list[Guest] = []
        self._number = number
        self._names = 0

    def name(self) -> str:
        """A worker's name that the producer has not met."""
        self._names += 1
        return f"conform-{self._number}-{self._names}"

    async def guest(self, within: float = 2 * LONGEST_DELAY + SLACK) -> Guest:
        """The next connection. One that its producer has given up, before it was greeted, does not count."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    guest = await self.guests.get()
            except TimeoutError:
                raise BrokenRuleError("another dial", f"none within {within:g} s") from None
            self.taken.append(guest)
            if guest.ended is None and loop.time() - guest.began_at < 3.0:
                return guest
            guest.cut()

    async def redial(self, ended: float, low: float, high: float, why: str) -> Guest:
        """The next connection, which must come `low` to `high` seconds after `ended`."""
        guest = await self.guest(high + SLACK)
        delay = guest.began_at - ended
        if not low - 0.1 <= delay <= high + SLACK:
            raise BrokenRuleError(f"a dial {low:g} to {high:g} s after {why}", f"one after {delay:.1f} s")
        return guest

    async def clear(self) -> None:
        """End what the case has left open, in a way after which the producer dials soon."""
        await asyncio.gather(*(guest.leave() for guest in self.taken))
        self.taken.clear()
