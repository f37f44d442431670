"""Suites: all cases against a worker, or against a producer, run side by side as far as they may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from ..errors import SettingsError
from . import dialling, flowing, greeting, opening, queueing, raw, serving
from .as_producer import Site
from .as_worker import Guest, Link
from .cases import BrokenRuleError, Case, Outcome, play

BESIDE: Final = 6
"""Cases against a worker that run at once: far below its 16 places before `#open`."""

FIRST_DIAL: Final = 60.0
"""Seconds in which a producer must dial for the first time: a person may still have to start it."""

SECOND_LINK_LOOKS: Final = 30
"""Tenths of a second in which its other links must have dialled, too."""

WORKER_CASES: Final = [*opening.CASES, *serving.CASES, *raw.CASES, *queueing.CASES]
PRODUCER_CASES: Final = [*greeting.CASES, *flowing.CASES, *dialling.CASES]

Report = Callable[[Outcome], None]


async def run_worker_suite(
    host: str, port: int, cases: Iterable[Case], report: Report, *, seconds: float, random: Random
) -> None:
    """Play `cases` against the worker there, for at most `seconds`. Raises SettingsError if none is there."""
    site = Site(host, port, random)
    try:
        await site.survey()
    except (OSError, TimeoutError) as error:
        raise SettingsError(f"nothing listens at {host}:{port}: {str(error) or 'no answer'}") from None
    except BrokenRuleError as broken:
        raise SettingsError(f"no randstream worker greets at {host}:{port}: {broken}") from None
    finally:
        for offer in site.taken:
            offer.cut()
    left = list(cases)

    async def run(case: Case) -> None:
        ground = site.apart()
        try:
            outcome = await play(case, ground)
            await ground.clear()
        finally:  # the suite's own time may be up
            for offer in ground.taken:
                offer.cut()
        left.remove(case)
        report(outcome)

    async def in_turn(*groups: str) -> None:
        for case in [case for case in left if case.group in groups]:
            await run(case)

    async def at_once(group: str) -> None:
        places = asyncio.Semaphore(BESIDE)

        async def one(case: Case) -> None:
            async with places:
                await run(case)

        await asyncio.gather(*(one(case) for case in left if case.group == group))

    try:
        async with asyncio.timeout(seconds):
            await asyncio.gather(at_once(opening.STRANGER), in_turn(serving.ALONE))
            await asyncio.gather(in_turn(queueing.LONG), at_once(opening.JOINER))
            await in_turn(queueing.LAST)
    except TimeoutError:
        for case in left:
            report(Outcome(case, 0.0, expected=f"all cases within {seconds:g} s", came="no turn for this one"))


async def run_producer_suite(
    host: str,
    port: int,
    cases: Iterable[Case],
    report: Report,
    *,
    seconds: float,
    seed: str | None,
    listening: Callable[[str], None],
) -> None:
    """Wait for a producer at an address, and play `cases` on each of its links, for at most `seconds`.

    Two addresses of this machine that it dials are two links. `listening` gets the address. With the producer's `seed`
    its numbers are compared, too. Raises SettingsError if no producer dials, or the address is bad.
    """
    left = sorted(cases, key=lambda case: case.group == dialling.LINKS)
    links: dict[str, Link] = {}
    waiting = [case for case in left if case.group == greeting.LINK]
    runs: set[asyncio.Task[None]] = set()
    begun = asyncio.Event()

    async def run(case: Case, ground: Link | list[Link]) -> None:
        outcome = await play(case, ground)
        await asyncio.gather(*(link.clear() for link in ([ground] if isinstance(ground, Link) else ground)))
        left.remove(case)
        report(outcome)

    async def use(link: Link) -> None:
        while waiting:
            await run(waiting.pop(), link)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not server.is_serving():  # accepted before the end
            writer.transport.abort()
            return
        guest = Guest(reader, writer)
        link = links.get(guest.dialled)
        if link is None:
            link = links[guest.dialled] = Link(len(links), seed)
            runs.add(asyncio.get_running_loop().create_task(use(link)))
            begun.set()
        link.guests.put_nowait(guest)

    try:
        server = await asyncio.start_server(accept, host, port)
    except OSError as error:
        why = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise SettingsError(f"{why}; give another --listen HOST:PORT") from None
    host, port = server.sockets[0].getsockname()[:2]
    listening(f"{host}:{port}")
    try:
        async with asyncio.timeout(FIRST_DIAL):
            await begun.wait()
    except TimeoutError:
        server.close()
        raise SettingsError(f"no producer dials {host}:{port} within {FIRST_DIAL:g} s") from None
    try:
        async with asyncio.timeout(seconds):
            while tasks := [task for task in runs if not task.done()]:
                await asyncio.wait(tasks)
            for task in runs:
                task.result()
            for _ in range(SECOND_LINK_LOOKS if left else 0):
                if len(links) > 1:
                    break
                await asyncio.sleep(0.1)
            for case in list(left):
                await run(case, list(links.values()))
    except TimeoutError:
        for case in left:
            report(Outcome(case, 0.0, expected=f"all cases within {seconds:g} s", came="no turn for this one"))
    finally:
        server.close()
        for task in runs:
            task.cancel()
        for link in links.values():
            while not link.guests.empty():
                link.guests.get_nowait().cut()
            for guest in link.taken:
                guest.cut()
            while not link.guests.empty():
                link.guests.get_nowait().cut()
