"""Cases against a producer's links: when it dials again, where its streams begin, one link for each worker."""

from __future__ import annotations

import asyncio
from typing import Final

from ..numbers.stream import NumberStream
from .as_worker import LONGEST_DELAY, Guest, Link
from .cases import BrokenRuleError, Case, NotPlayedError, case_adder
from .greeting import LINK, NUMBERS
from .wire import Line, Run

LINKS: Final = "links"
"""Group: it needs two links of one producer, and gets all there are."""

CASES: Final[list[Case]] = []
_case = case_adder(CASES)


async def _proved(link: Link, name: str = "") -> Guest:
    """Return a connection that has made progress, so that delays have started over."""
    guest = await link.guest()
    await guest.serve(name or link.name())
    await guest.progress()
    return guest


def _redials(reason: str, rule: str, low: float, high: float, *, flowing: bool = True) -> None:
    """After `#close` with `reason` the producer ends, and dials again `low` to `high` seconds later."""

    @_case(f"after #close reason={reason} it dials within {low:g} to {high:g} s", rule, "close-reasons",
           "reconnect-for-ever", group=LINK, limit=30)  # fmt: skip
    async def play(link: Link) -> None:
        guest = await _proved(link)
        guest.say(f"#close reason={reason}")
        loop = asyncio.get_running_loop()
        ended = loop.time()
        while isinstance(item := await guest.take(), Run) or (isinstance(item, Line) and item.verb == "#beat"):
            pass
        if not guest.ended:
            raise BrokenRuleError("the end of the connection", item or "nothing")
        again = await link.redial(ended, low, high, f"reason={reason}")
        await again.greet(link.name())


for _reason in ("shutdown", "timeout"):
    _redials(_reason, "backoff-starts-over-at-progress", 0.0, 0.1)
_redials("yield", "yielded", 0.0, 0.1)
_redials("out-of-paper", "unknown-reason", 0.0, 0.1)
_redials("spare", "line-limit", 0.0, 5.0)
_redials("takeover", "successor", 5.0, 10.0)
for _reason in ("mismatch", "malformed", "too-long", "version", "refused", "busy"):
    _redials(_reason, "longest-delay", 0.0, LONGEST_DELAY)


@_case("after a cut it dials soon", "backoff", "backoff-starts-over-at-progress", "reconnect-for-ever", group=LINK)
async def _cut(link: Link) -> None:
    guest = await _proved(link)
    guest.cut()
    await link.redial(asyncio.get_running_loop().time(), 0.0, 0.1, "a cut")


@_case("after four #wait it dials soon", "backoff-starts-over-at-progress", group=LINK)
async def _four_waits(link: Link) -> None:
    guest = await link.guest()
    await guest.greet(link.name())
    for _ in range(4):
        guest.say("#wait by=another")
        await guest.expect("#wait", 1.5)
    guest.cut()
    await link.redial(asyncio.get_running_loop().time(), 0.0, 0.1, "a cut after four #wait")


@_case("cuts before any progress: the delays stay below 5 s", "backoff", "reconnect-for-ever", group=LINK, limit=40)
async def _cuts(link: Link) -> None:
    for _ in range(4):
        guest = await link.guest()
        guest.cut()
        await link.redial(asyncio.get_running_loop().time(), 0.0, LONGEST_DELAY, "a cut")
        link.taken[-1].cut()


@_case("#close after #hello", "close-reasons", group=LINK)
async def _close_greeting(link: Link) -> None:
    guest = await link.guest()
    guest.say(f"#hello randstream/1 worker={link.name()}", "#close reason=busy")
    item = await guest.take()
    if isinstance(item, Line) and item.verb == "#open":
        item = await guest.take()
    if guest.ended is None:
        raise BrokenRuleError("the end of the connection", item or "nothing")


# ---- where a stream begins


@_case("a worker that names no offset gets what was acked last, at that target", "start-offset", group=LINK)
async def _start_offset(link: Link) -> None:
    name = link.name()
    guest = await _proved(link, name)
    await guest.beat()
    guest.ack(beat := await guest.beat())
    await asyncio.sleep(0.1)
    await guest.leave()
    again = await link.guest()
    await again.greet(name)
    opening = await again.resume(None)
    if opening.number("offset") != beat.number("offset"):
        raise BrokenRuleError(f"#beat offset={beat.keys['offset']}", opening)


@_case("a named offset is used, even below what was acked", "resume", group=LINK)
async def _named_below(link: Link) -> None:
    name = link.name()
    guest = await _proved(link, name)
    await guest.leave()
    again = await link.guest()
    await again.greet(name)
    await again.resume(1)


@_case("another worker's name is another stream, which begins at 0", "start-offset", "stream-key", group=LINK)
async def _other_worker(link: Link) -> None:
    guest = await _proved(link)
    await guest.leave()
    again = await link.guest()
    await again.greet(link.name())
    if again.opened.keys["stream"] == guest.opened.keys["stream"]:
        raise BrokenRuleError("another stream= for another worker", again.opened)
    await again.resume(0)


@_case("number n is the same on each connection", "word-n", "one-word-each", group=LINK)
async def _same_numbers(link: Link) -> None:
    name = link.name()
    first, second = bytearray(), bytearray()
    guest = await link.guest()
    await guest.serve(name)
    while guest.offset < 40:
        guest.ack(await guest.beat(each=first.extend))
    await guest.leave()
    again = await link.guest()
    await again.serve(name, 20)
    while again.offset < 40:
        again.ack(await again.beat(each=second.extend))
    lines, later = bytes(first).split(b"\n")[20:40], bytes(second).split(b"\n")[:20]
    if lines != later:
        raise BrokenRuleError(f"numbers 20 to 39 as before, {lines[:4]}", later[:4])


# ---- the numbers


def _made_of_the_seed(name: str, offset: int, *rules: str, distribution: str = "") -> None:
    """The numbers from `offset` on are those of the seed, for the `distribution` if one is given."""

    @_case(name, *rules, group=LINK)
    async def play(link: Link) -> None:
        if link.seed is None:
            raise NotPlayedError("give the producer's seed with --seed")
        worker = link.name()
        guest = await link.guest()
        await guest.greet(worker)
        numbers = guest.opened.keys["numbers"]
        if distribution and numbers.partition(":")[0] != distribution:
            raise NotPlayedError(f"the producer sends {numbers}")
        stream = NumberStream(link.seed, worker, numbers)
        if guest.opened.keys["stream"] != stream.id:
            raise BrokenRuleError(f"stream={stream.id}", guest.opened)
        guest.ack(await guest.resume(offset))
        lines = bytearray()
        while guest.offset < offset + 100:
            guest.ack(await guest.beat(each=lines.extend))
        expected = stream.lines(offset, guest.offset - offset).splitlines()
        for number, (line, wanted) in enumerate(zip(bytes(lines).splitlines(), expected, strict=True), offset):
            if line != wanted:
                raise BrokenRuleError(f"{wanted.decode()}, number {number} of {worker}", line.decode("latin-1"))


_made_of_the_seed("stream= and numbers are those of the seed", 0, "stream-key", "word-n", "one-word-each")
_made_of_the_seed("numbers in the middle of a block, past 2^32", 2**32 - 1, "word-n")
_made_of_the_seed("numbers far out", 2**62 + 3, "word-n")
_made_of_the_seed("integers", 1000, "integers", "integer-text", distribution="integers")
_made_of_the_seed("bits64", 1000, "bits64", "integer-text", distribution="bits64")
_made_of_the_seed("bernoulli", 1000, "bernoulli", "integer-text", distribution="bernoulli")
_made_of_the_seed("poisson", 1000, "poisson", "integer-text", distribution="poisson")
_made_of_the_seed("uniform", 1000, "uniform", "float-text", distribution="uniform")
_made_of_the_seed("exponential", 1000, "exponential", "portable-arithmetic", "float-text", distribution="exponential")
_made_of_the_seed("normal", 1000, "normal", "portable-arithmetic", "float-text", distribution="normal")


# ---- two links


@_case("each link has its own instance", "instance", group=LINKS)
async def _instances(links: list[Link]) -> None:
    if len(links) < 2:
        raise NotPlayedError("there is one link; let the producer dial two addresses of this suite")
    guests = [await link.guest() for link in links[:2]]
    for guest, link in zip(guests, links, strict=False):
        await guest.greet(link.name())
    one, two = (guest.opened.keys.get("instance") for guest in guests)
    if one is None:
        raise NotPlayedError("the producer gives no instance")
    if one == two:
        raise BrokenRuleError("two instances", "the same")


@_case("two links, one worker's name: the second is refused, rests, and dials when the first is lost",
       "one-link-a-worker", group=LINKS, limit=40)  # fmt: skip
async def _one_link(links: list[Link]) -> None:
    if len(links) < 2:
        raise NotPlayedError("there is one link; let the producer dial two addresses of this suite")
    first, second = links[0], links[1]
    name = first.name()
    holder = await _proved(first, name)
    async with holder.kept_alive():
        other = await second.guest()
        other.say(f"#hello randstream/1 worker={name}")
        try:
            await other.expect_close("refused")
        except BrokenRuleError as broken:
            if "#open" in broken.came and f"producer={holder.opened.keys['producer']} " not in broken.came:
                raise NotPlayedError("no two links belong to one producer") from None
            raise
        await holder.expect_nothing(2.0, skip=NUMBERS)
        if not second.guests.empty():
            raise BrokenRuleError("no dial while the other link has the worker", "one")
    holder.say("#close reason=takeover")
    again = await second.redial(asyncio.get_running_loop().time(), 0.0, 1.0, "the loss of the other link")
    await again.greet(name)
