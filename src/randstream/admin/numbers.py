"""Numbers: a worker's numbers in one endless HTTP answer. From the store where there is one, else from now on.

A client that falls behind is cut, and comes back with the offset that it knows. Nothing here holds a stream up.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from ..clock import Clock
from ..errors import RandstreamError, SettingsError
from ..observe.tap import Listener, Tap
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..protocol import MAX_OFFSET
from ..protocol.runs import Run
from .follower import Follower
from .guard import GuardedServer
from .http import ENDLESS, Refusal
from .query import parameters

CLIENTS: Final = 4
"""At a time, as each may hold two intervals of the store in memory, 16 MiB."""
PATIENT_SECONDS: Final = 10.0
"""How long a client without new numbers keeps its place. One that asked for future numbers may lose it at once."""
SLOW_SECONDS: Final = 10.0
"""How long a client may take for one piece."""
WORD_SECONDS: Final = 5.0
"""The longest silence to a client: proxies hang up on silence, nginx after 60 s, and a dead client must be noticed."""
PIECE_BYTES: Final = 2**16
"""Written at a time: as much as a socket's buffer holds."""

_OFFSET: Final = re.compile(r"0|[1-9][0-9]{0,18}")

log = structlog.get_logger("randstream")


@dataclass(eq=False, slots=True)
class _Client:
    """A client that has one of the places."""

    request: web.BaseRequest
    waits_since: float = math.inf
    """When its last number went out, if it waits for another."""


class NumbersFeed:
    """Answers `/numbers` with what passes `tap`, or has passed it into its store."""

    def __init__(self, tap: Tap, guard: GuardedServer, clock: Clock) -> None:
        self._clients: set[_Client] = set()
        self._clock = clock
        self._tap = tap
        self._guard = guard
        self._lines = Throttle(LINES_A_MINUTE)

    @property
    def clients(self) -> int:
        return len(self._clients)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with number lines, or with server-sent events if the client accepts them.

        An event's id is the offset of the number after it, where `Last-Event-ID` goes on.
        """
        offset = _wanted_offset(request)
        if request.method == "HEAD":
            with closing(await self._open(offset)) as source:
                return await self._begin(request, source)
        self._make_room()
        client = _Client(request)
        self._clients.add(client)
        try:
            with closing(await self._open(offset)) as source:
                return await self._pass_on(client, source)
        finally:
            self._clients.discard(client)

    def _make_room(self) -> None:
        """Cut the client that has waited longest, if necessary. Raises Refusal if all of them get numbers."""
        if self.clients < CLIENTS:
            return
        longest = min(self._clients, key=lambda client: client.waits_since)
        if self._clock.now() - longest.waits_since < PATIENT_SECONDS:
            raise Refusal(503, f"{CLIENTS} clients are already reading the numbers; try again later")
        self._clients.discard(longest)
        self._cut(longest.request, "it waited for numbers, and another client needs its place")

    async def _open(self, offset: int | None) -> Follower | Listener:
        store = self._tap.store
        if store is None:
            if offset is not None:
                why = "this worker stores nothing, so numbers that have passed are gone; ask without offset"
                raise Refusal(409, why)
            return self._tap.listen()
        path, committed = store.path, store.committed_offset
        if path is None or committed is None:
            raise Refusal(503, "no stream is open yet; try again once a producer has come")
        try:
            return await Follower.open(store, path, committed if offset is None else offset)
        except SettingsError as error:
            raise Refusal(410, f"{error}; ask for a later offset") from error
        except (RandstreamError, OSError) as error:
            raise Refusal(500, f"the store cannot be read: {error}") from error

    async def _begin(self, request: web.BaseRequest, source: Follower | Listener) -> web.StreamResponse:
        kind = "text/event-stream" if _wants_events(request) else "text/plain; charset=us-ascii"
        response = web.StreamResponse(headers={**ENDLESS, "Content-Type": kind, "Randstream-Offset": str(source.first)})
        await response.prepare(request)
        return response

    async def _pass_on(self, client: _Client, source: Follower | Listener) -> web.StreamResponse:
        request = client.request
        as_events = _wants_events(request)
        response = await self._begin(request, source)
        self._guard.release(request)
        why = "the stream went on elsewhere, or the client fell behind"
        client.waits_since = -math.inf if self._is_to_come(source) else self._clock.now()
        try:
            patience = 0.0 if as_events else WORD_SECONDS
            while (run := await source.next_run(patience)) is not None:
                patience = WORD_SECONDS
                if run.count:
                    client.waits_since = math.inf
                for text in _texts(run, as_events):
                    async with asyncio.timeout(SLOW_SECONDS):
                        await response.write(text)
                if run.count:
                    client.waits_since = self._clock.now()
        except TimeoutError:
            why = f"it took nothing for {SLOW_SECONDS:g} s"
        except RandstreamError as error:
            why = str(error)
        self._cut(request, why)
        return response

    def _is_to_come(self, source: Follower | Listener) -> bool:
        """Whether the client has asked for a number that is not stored yet, and is not the next one either."""
        store = self._tap.store
        return store is not None and source.first > (store.committed_offset or 0)

    def _cut(self, request: web.BaseRequest, why: str) -> None:
        """Abort, as this is not a regular end: the client must notice that there is more."""
        self._lines.say(log.info, "tap.cut", self._clock.now(), peer=request.remote, why=why)
        self._guard.end(request)


def _wanted_offset(request: web.BaseRequest) -> int | None:
    """What `offset=` or, after a cut, `Last-Event-ID` asks for."""
    given = parameters(request, "offset").get("offset")
    last = request.headers.get("Last-Event-ID")
    name, asked = ("offset", given) if last is None else ("Last-Event-ID", last)
    if asked is None:
        return None
    if not _OFFSET.fullmatch(asked) or int(asked) > MAX_OFFSET:
        raise Refusal(400, f"{name} {asked!r} is not an offset; give a whole number from 0 to 2^63 - 1")
    return int(asked)


def _wants_events(request: web.BaseRequest) -> bool:
    return "text/event-stream" in request.headers.get("Accept", "")


def _texts(run: Run, as_events: bool) -> Iterable[bytes]:
    """What to write for `run`, in parts; for an empty one, something that its reader skips: a comment or empty line."""
    if not run.count:
        return [b": no numbers yet\n\n" if as_events else b"\n"]
    pieces = run.pieces(PIECE_BYTES)
    return map(as_event, pieces) if as_events else (bytes(piece.lines) for piece in pieces)


def as_event(run: Run) -> bytes:
    """A server-sent event: a `data:` line for each number, and the next one's offset as its id."""
    data = run.lines[:-1].replace(b"\n", b"\ndata: ")
    return b"id: %d\ndata: %b\n\n" % (run.end_offset, data)
