"""What the cases against a worker use: connections to it, on which this suite is the producer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from .cases import BrokenRuleError
from .conversation import PATIENCE, Conversation
from .wire import Line, beat, rank, with_check

HEARTBEAT: Final = 1.0
"""Seconds: the heartbeat of connections whose case is not about time."""
QUICK: Final = 0.3
"""Seconds: the heartbeat of those whose case is about time."""


class Offer(Conversation):
    """A connection to the worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, site: Site) -> None:
        super().__init__(reader, writer)
        self.site = site
        self.offset = 0
        """That of the next number."""
        self.heartbeat = HEARTBEAT
        self._interval = b""

    def open_line(self, **keys: str | None) -> str:
        """A good `#open` of the suite's stream, with `keys` in place of its own; None leaves a key out."""
        given: dict[str, str | None] = {
            "worker": self.site.worker, "stream": self.site.stream, "numbers": "integers:1:100",
            "producer": self.site.producer, "heartbeat": str(HEARTBEAT), **keys,
        }  # fmt: skip
        return with_check("#open" + "".join(f" {key}={value}" for key, value in given.items() if value is not None))

    async def greeted(self) -> Line:
        """The worker's `#hello`."""
        return await self.expect("#hello")

    async def expect_fault(self, line: int, *reasons: str) -> None:
        """Expect what a raw peer gets if its `line`-th line is not a number: `# line N`, and a `#close`."""
        await self.expect(f"# line {line}")
        await self.expect_close(*(reasons or ("malformed",)))

    async def open(self, **keys: str | None) -> None:
        """Take the greeting and offer a stream. Each `#wait` is answered from now on."""
        await self.greeted()
        self.answers_waits = True
        self.heartbeat = float(keys.get("heartbeat") or HEARTBEAT)
        self.say(self.open_line(**keys))

    async def resumed(self, within: float = PATIENCE) -> Line:
        """The worker's `#resume`."""
        resume = await self.expect("#resume", within)
        self.offset = max(0, resume.number("offset"))
        return resume

    async def start(self, **keys: str | None) -> Line:
        """Do everything up to the ack of the opening beat; return the `#resume`."""
        await self.open(**keys)
        return await self.prove()

    async def prove(self) -> Line:
        """After `open`, do everything up to the ack of the opening beat; return the `#resume`."""
        resume = await self.resumed()
        self.say(beat(self.offset))
        ack = await self.acked(self.offset)
        if ack.keys.get("t") != "1":
            raise BrokenRuleError(f"#ack offset={self.offset} t=1", ack)
        return resume

    def numbers(self, count: int) -> None:
        """Send `count` numbers."""
        self.interval(b"52\n" * count)

    def interval(self, lines: bytes) -> None:
        """Send number lines."""
        self.send(lines)
        self._interval += lines
        self.offset += lines.count(b"\n")

    def beat(self, t: str = "2") -> None:
        """Send a correct beat."""
        self.say(beat(self.offset, self._interval, t))
        self._interval = b""

    async def acked(self, offset: int, within: float | None = None) -> Line:
        """Return the ack of `offset`; pass over those below it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (1.25 * self.heartbeat + PATIENCE if within is None else within)
        while True:
            try:
                ack = await self.expect("#ack", max(0.0, deadline - loop.time()))
            except BrokenRuleError as broken:
                raise BrokenRuleError(f"#ack offset={offset}", broken.came) from None
            if ack.number("offset") == offset:
                return ack
            if ack.number("offset") > offset:
                raise BrokenRuleError(f"#ack offset={offset}", ack)

    async def stand_by(self, **keys: str | None) -> Line:
        """Open; return the first `#wait`, which is answered."""
        await self.open(**keys)
        return await self.asked()

    async def asked(self, count: int = 1, within: float = PATIENCE) -> Line:
        """Return the `count`-th `#wait` of this connection, which is answered. Anything else breaks a rule."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while len(self.waits) < count:
            if loop.time() > deadline or self.ended is not None:
                raise BrokenRuleError("#wait", self.ended or f"nothing within {within:.1f} s")
            await asyncio.sleep(0.01)
            if (item := await self.take(0.0)) is not None:
                raise BrokenRuleError("#wait", item)
        return self.waits[count - 1]

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Beat on time during the block."""

        async def beat_on() -> None:
            while True:
                self.beat()
                await asyncio.sleep(self.heartbeat)

        task = asyncio.create_task(beat_on())
        try:
            yield
        finally:
            task.cancel()


@dataclass
class Site:
    """The worker under test, and what the suite tells it."""

    host: str
    port: int
    random: Random
    worker: str = ""
    producer: str = ""
    better: str = ""
    """A name that the worker ranks above `producer`; `best` above that."""
    best: str = ""
    stream: str = ""
    takes_raw: bool = False
    """Whether it takes numbers from raw peers."""
    taken: list[Offer] = field(default_factory=list)

    async def survey(self) -> None:
        """Learn the worker's name. Raises OSError if nothing listens there, BrokenRuleError if it does not greet."""
        offer = await self.dial()
        hello = await offer.greeted()
        offer.cut()
        self.worker = hello.keys["worker"]
        self.stream = self.another_stream()
        raw = await self.dial()
        await raw.greeted()
        raw.send(b"1\n")
        self.takes_raw = await raw.take(1.0) is None
        raw.cut()
        names = sorted((f"conform-{n}" for n in range(30)), key=lambda name: rank(self.worker, name))
        self.producer, self.better, self.best = names[0], names[-2], names[-1]

    def another_stream(self) -> str:
        """A `stream=` that was never used before."""
        return f"{self.random.getrandbits(64):016x}"

    async def dial(self) -> Offer:
        """Make a new connection. It ends with the case, unless it has ended before."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(self.host, self.port)
        offer = Offer(reader, writer, self)
        self.taken.append(offer)
        return offer

    def apart(self) -> Site:
        """A copy for one case, which ends only its own connections."""
        return replace(self, taken=[])

    async def clear(self) -> None:
        """End all connections that the case has left open."""
        await asyncio.gather(*(offer.leave() for offer in self.taken))
        self.taken.clear()
