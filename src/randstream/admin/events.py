"""Events: a snapshot a second as server-sent events, made once for all watchers, and not at all without any."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from .guard import GuardedServer
from .http import ENDLESS, Refusal
from .observer import Observer, to_json

WATCHERS: Final = 16
"""Pages open at a time on one process: more than the people who would look at it together."""
SHOWN_LINKS: Final = 1000
"""Links in an event, those in trouble first: 0.3 to 0.6 MB, what a page can show and a port-forward can carry."""
SHOWN_INTERRUPTIONS: Final = 3
"""Per link: more than end in the second between two events."""
SLOW_SECONDS: Final = 5.0
"""How long a watcher may take for one event before it is cut."""


class Events:
    """Call `tick` once a second."""

    def __init__(self, observer: Observer, guard: GuardedServer) -> None:
        self.watchers = 0
        self._observer = observer
        self._guard = guard
        self._event = b""
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
        response = web.StreamResponse(headers={**ENDLESS, "Content-Type": "text/event-stream"})
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        self._guard.release(request)
        self.watchers += 1
        try:
            await response.prepare(request)
            event = b"retry: 1000\n" + self._make_event()
            while True:
                news = self._news
                async with asyncio.timeout(SLOW_SECONDS):
                    await response.write(event)
                await news.wait()
                event = self._event
        except TimeoutError:
            self._guard.end(request)  # the watcher comes back by itself
            return response
        finally:
            self.watchers -= 1

    def _make_event(self) -> bytes:
        return (
            b"data: " + to_json(self._observer.snapshot(limit=SHOWN_LINKS, interruptions=SHOWN_INTERRUPTIONS)) + b"\n\n"
        )
