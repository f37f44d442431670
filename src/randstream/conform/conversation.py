"""Conversation: one connection to the peer, which knows when each line came."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from .cases import BrokenRuleError
from .wire import End, Item, Line, Run, read_control_line, read_numbers

PATIENCE: Final = 3.0
"""Seconds for what must come at once: an allowance for networks and busy machines."""
SLOWEST_READER: Final = 2**20
"""Bytes a second that even a slow end takes."""
_READ_BYTES: Final = 2**17
_MOST_KEPT: Final = 48 * 2**20
"""Untaken bytes of numbers after which no more are read: more than the window allows."""


def patience_for(data: bytes) -> float:
    """Seconds for what must come as soon as `data` has been read."""
    return PATIENCE + len(data) / SLOWEST_READER


class Conversation:
    """One connection. Everything that comes is read at once and kept with its time; `take` returns it in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._items: deque[Item] = deque()
        self._kept = 0
        self._news = asyncio.Event()
        self._rest = b""
        self.began_at = self._loop.time()
        self.ended: End | None = None
        self.answers_waits = False
        """Whether each `#wait` that comes is answered at once instead of taken."""
        self.waits: list[Line] = []
        """The `#wait` lines that were answered."""
        self._reading = self._loop.create_task(self._read())

    # ---- saying

    def say(self, *lines: str) -> None:
        """Send lines, each ended by LF."""
        self.send("".join(f"{line}\n" for line in lines).encode("latin-1"))

    def send(self, data: bytes) -> None:
        """Send bytes. What the peer no longer takes is dropped silently."""
        with suppress(OSError):
            self._writer.write(data)

    def end_our_direction(self) -> None:
        """Send a FIN, and read on."""
        with suppress(OSError):
            self._writer.write_eof()

    async def drain(self) -> None:
        """Wait until most of what was sent is out, or the peer is gone."""
        with suppress(OSError):
            await self._writer.drain()

    # ---- hearing

    async def take(self, within: float = PATIENCE) -> Item | None:
        """Return the next thing that comes; None if nothing does `within` seconds. The end is returned repeatedly."""
        deadline = self._loop.time() + within
        while not self._items:
            if self.ended is not None:
                return self.ended
            self._news.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._news.wait()
            except TimeoutError:
                return None
        item = self._items.popleft()
        if isinstance(item, Run):
            self._kept -= len(item.lines)
            self._news.set()
        if isinstance(item, Line | Run) and item.fault:
            raise BrokenRuleError("a line that keeps the grammar", item)
        return item

    async def expect(self, start: str, within: float = PATIENCE, skip: tuple[str, ...] = ()) -> Line:
        """Return the next line, which must begin with `start`; pass over those that begin with one of `skip`."""
        deadline = self._loop.time() + within
        while True:
            item = await self.take(max(0.0, deadline - self._loop.time()))
            if isinstance(item, Line) and (item.text + " ").startswith(start + " "):
                return item
            if isinstance(item, Line) and item.text.startswith(skip or ("-",)):
                continue
            if isinstance(item, Run) and "numbers" in skip:
                continue
            raise BrokenRuleError(start, item or f"nothing within {within:.1f} s")

    async def expect_close(self, *reasons: str, within: float = PATIENCE, skip: tuple[str, ...] = ()) -> Line:
        """Return the `#close`, with one of `reasons`, before the end. Passes over `skip`."""
        closed = await self.expect("#close", within, skip) if not reasons else None
        if closed is None:
            wanted = " or ".join(f"#close reason={reason}" for reason in reasons)
            try:
                closed = await self.expect("#close", within, skip)
            except BrokenRuleError as broken:
                raise BrokenRuleError(wanted, broken.came) from None
            if closed.keys.get("reason") not in reasons:
                raise BrokenRuleError(wanted, closed)
        await self.expect_end()
        return closed

    async def expect_end(self, within: float = PATIENCE) -> End:
        """Expect the end of the connection, with nothing before it."""
        item = await self.take(within)
        if not isinstance(item, End):
            raise BrokenRuleError("the end of the connection", item or f"nothing within {within:.1f} s")
        return item

    async def expect_nothing(self, seconds: float, skip: tuple[str, ...] = ()) -> None:
        """Expect nothing for `seconds`, except what begins with one of `skip`."""
        deadline = self._loop.time() + seconds
        while (left := deadline - self._loop.time()) > 0:
            item = await self.take(left)
            is_skipped = isinstance(item, Line) and item.text.startswith(skip or ("-",))
            is_skipped |= isinstance(item, Run) and "numbers" in skip
            if item is not None and not is_skipped:
                raise BrokenRuleError("nothing", item)

    # ---- ending

    async def leave(self, *, politely: bool = True) -> None:
        """End the connection, with a `#close` or without, and wait for the peer to go."""
        if politely and self.ended is None:
            self.say("#close reason=shutdown")
            self.answers_waits = False
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    while self.ended is None:
                        self._items.clear()
                        self._kept = 0
                        self._news.set()
                        await asyncio.sleep(0.005)
        self.cut()

    def cut(self) -> None:
        """End the connection without a word."""
        self._reading.cancel()
        self._writer.transport.abort()
        self.ended = self.ended or End(self._loop.time())

    async def _read(self) -> None:
        how = "the end of the connection, without a word"
        try:
            while data := await self._reader.read(_READ_BYTES):
                self._cut_up(data, self._loop.time())
                while self._kept > _MOST_KEPT:
                    self._news.clear()
                    await self._news.wait()
        except OSError as error:
            how = f"a broken connection ({error.strerror or error})"
        self.ended = End(self._loop.time(), how)
        self._news.set()

    def _cut_up(self, data: bytes, now: float) -> None:
        data = self._rest + data
        start = 0
        while start < len(data):
            if data[start : start + 1] == b"#":
                end = data.find(b"\n", start) + 1
                if not end:
                    break
                self._note(read_control_line(data[start : end - 1], now))
            else:
                control = data.find(b"#", start)
                end = data.rfind(b"\n", start, control if control >= 0 else len(data)) + 1
                if not end and control >= 0:
                    end = control  # a `#` within a line: `read_numbers` reports it
                if not end:
                    break
                self._kept += end - start
                self._note(read_numbers(data[start:end], now))
            start = end
        self._rest = data[start:]

    def _note(self, item: Item) -> None:
        if self.answers_waits and isinstance(item, Line) and item.verb == "#wait" and not item.fault:
            self.waits.append(item)
            self.say("#wait")
        else:
            self._items.append(item)
            self._news.set()
