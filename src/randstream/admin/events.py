"""Events: a snapshot a second as server-sent events, made once for all watchers, and not at all without any.

So is its compressed form: no part of the gzip stream refers to one before it, so it continues any watcher's.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from aiohttp import web

from .guard import GuardedServer
from .http import ENDLESS, Refusal, takes_gzip
from .observer import Observer, to_json

WATCHERS: Final = 16
"""Pages open at a time on one process: more than the people who would look at it together."""
SHOWN_LINKS: Final = 1000
"""Links in an event, those in trouble first: 0.3 to 0.6 MB, a tenth of it compressed, for a slow network to carry."""
SHOWN_INTERRUPTIONS: Final = 3
"""Per link: more than end in the second between two events."""
SLOW_SECONDS: Final = 5.0
"""How long a watcher may take for one event before it is cut."""
RETRY: Final = b"retry: 1000\n"
"""How many milliseconds later a watcher that was cut comes back."""
GZIP_HEAD: Final = bytes.fromhex("1f8b08000000000000ff")
"""Of a stream without a name or a time, by an unknown system. Source: RFC 1952, 2.3."""


class Event:
    """A snapshot for all watchers, plain or compressed."""

    def __init__(self, plain: bytes) -> None:
        self._plain = plain
        self._packing: asyncio.Task[bytes] | None = None

    async def take(self, *, is_packed: bool) -> bytes:
        """The whole event. Compressed on a thread, once."""
        if not is_packed:
            return self._plain
        if self._packing is None:
            self._packing = asyncio.create_task(asyncio.to_thread(pack, self._plain))
        return await asyncio.shield(self._packing)


def pack(data: bytes) -> bytes:
    """`data` as a part of a gzip stream that a client reads without those before and after it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


class Events:
    """Call `tick` once a second."""

    def __init__(self, observer: Observer, guard: GuardedServer) -> None:
        self.watchers = 0
        self._observer = observer
        self._guard = guard
        self._event = Event(b"")
        self._news = asyncio.Event()

    def tick(self) -> None:
        """Send all watchers the current snapshot."""
        if self.watchers:
            self._event = self._make_event()
            news, self._news = self._news, asyncio.Event()
            news.set()

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with events until the watcher goes or cannot keep up. A slow one misses events, but not the newest."""
        if self.watchers >= WATCHERS:
            raise Refusal(503, f"{WATCHERS} pages are open already; close one")
        is_packed = takes_gzip(request.headers.getall("Accept-Encoding", []))
        response = web.StreamResponse(
            headers={**ENDLESS, "Vary": "Accept-Encoding", "Content-Type": "text/event-stream"}
        )
        if is_packed:
            response.headers["Content-Encoding"] = "gzip"
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        self._guard.release(request)
        self.watchers += 1
        try:
            await response.prepare(request)
            await response.write(GZIP_HEAD + pack(RETRY) if is_packed else RETRY)
            event = self._make_event()
            while True:
                news = self._news
                data = await event.take(is_packed=is_packed)
                async with asyncio.timeout(SLOW_SECONDS):
                    await response.write(data)
                await news.wait()
                event = self._event
        except TimeoutError:
            self._guard.end(request)  # the watcher comes back by itself
            return response
        finally:
            self.watchers -= 1

    def _make_event(self) -> Event:
        snapshot = self._observer.snapshot(limit=SHOWN_LINKS, interruptions=SHOWN_INTERRUPTIONS)
        return Event(b"data: " + to_json(snapshot) + b"\n\n")
