"""What the cases against a producer use: connections that it made, on which this suite is the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from ..numbers.distributions import is_canonical
from .cases import BrokenRuleError, NotPlayedError
from .conversation import PATIENCE, Conversation
from .wire import Line, Run, crc32c

LONGEST_DELAY: Final = 5.0
"""Seconds: the longest that a producer waits before it dials again, except after `takeover` and `spare`."""
SLACK: Final = 2.0
"""Seconds that a dial may take longer than its delay."""


class Guest(Conversation):
    """A connection that the producer made. Numbers are counted and beats are checked as they are taken."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        host, port = writer.get_extra_info("sockname")[:2]
        self.dialled = f"{host}:{port}"
        """The address that the producer dialled."""
        self.opened: Line
        self.offset = 0
        """That of the next number."""
        self.heartbeat = 0.0
        self._interval_crc = 0

    async def greet(self, name: str, within: float = PATIENCE, more: str = "") -> Line:
        """Send `#hello`; return the producer's `#open`, which must name this worker and be valid."""
        self.say(f"#hello randstream/1 worker={name}{more}")
        self.opened = await self.expect("#open", within)
        if self.opened.keys["worker"] != name:
            raise BrokenRuleError(f"#open worker={name} ...", self.opened)
        if not is_canonical(self.opened.keys["numbers"]):
            raise BrokenRuleError("numbers= in its canonical spelling", self.opened)
        self.heartbeat = float(self.opened.keys["heartbeat"])
        return self.opened

    def require_short_heartbeat(self) -> None:
        """Raise NotPlayedError if beats come too rarely for a case about time."""
        if self.heartbeat > 2.0:
            raise NotPlayedError(f"the heartbeat is {self.heartbeat:g} s; start the producer with 2 s or less")

    async def resume(self, offset: int | None = 0, more: str = "") -> Line:
        """Send `#resume`; return the opening beat, which must be right."""
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
        """Do everything up to the ack of the opening beat; return the beat."""
        await self.greet(name)
        opening = await self.resume(offset)
        self.ack(opening)
        return opening

    def ack(self, beat: Line) -> None:
        """Answer `beat`."""
        self.say(f"#ack offset={beat.keys['offset']} t={beat.keys['t']}")

    async def beat(self, within: float | None = None, each: Callable[[bytes], None] | None = None) -> Line:
        """Return the next beat, whose offset and CRC must be right. `each` gets the numbers before it."""
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
        """Repeat the last ack once a heartbeat during the block."""
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
        """Ack numbers, so that the producer's delays start over; return the acked beat."""
        first = self.offset
        for _ in range(8):
            beat = await self.beat()
            self.ack(beat)
            if beat.number("offset") > first:
                await asyncio.sleep(0.05)  # the ack must arrive before whatever the case does next
                return beat
        raise NotPlayedError("the producer sends no numbers")


class Link:
    """One address that the producer dials, and the connections that come there."""

    def __init__(self, number: int, seed: str | None) -> None:
        self.seed = seed
        """The seed that the producer was started with, if known."""
        self.guests: asyncio.Queue[Guest] = asyncio.Queue()
        self.taken: list[Guest] = []
        self._number = number
        self._names = 0

    def name(self) -> str:
        """A worker's name that is new to the producer."""
        self._names += 1
        return f"conform-{self._number}-{self._names}"

    async def guest(self, within: float = 2 * LONGEST_DELAY + SLACK) -> Guest:
        """Return the next connection. One that its producer gives up before the greeting does not count."""
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
        """Return the next connection, which must come `low` to `high` seconds after `ended`."""
        guest = await self.guest(high + SLACK)
        delay = guest.began_at - ended
        if not low - 0.1 <= delay <= high + SLACK:
            raise BrokenRuleError(f"a dial {low:g} to {high:g} s after {why}", f"one after {delay:.1f} s")
        return guest

    async def clear(self) -> None:
        """End what the case has left open, and so that the producer dials again soon."""
        await asyncio.gather(*(guest.leave() for guest in self.taken))
        self.taken.clear()
