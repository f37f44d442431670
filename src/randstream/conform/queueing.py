"""Cases against a worker with many producers: the line, which of them serves next, and for how long."""

from __future__ import annotations

import asyncio
from typing import Final

from .as_producer import QUICK, Offer, Site
from .cases import BrokenRuleError, Case, case_adder
from .serving import ACKS, ALONE
from .wire import Line, rank

LONG: Final = "long"
"""Group: the case takes long; the joiners run beside it."""
LAST: Final = "last"
"""Group: the case runs when no other does."""

CASES: Final[list[Case]] = []
_case = case_adder(CASES)


async def _served(site: Site, **keys: str | None) -> Offer:
    offer = await site.dial()
    await offer.start(**keys)
    return offer


async def _standby(site: Site, **keys: str | None) -> Offer:
    offer = await site.dial()
    await offer.stand_by(**keys)
    return offer


def _require(holds: bool, expected: str, came: object) -> None:
    if not holds:
        raise BrokenRuleError(expected, came)


# ---- who is in line


@_case("a newcomer is told at once which producer serves, and at what offset", "line", "asked", group=ALONE)
async def _newcomer(site: Site) -> None:
    serving = await _served(site)
    serving.numbers(4)
    serving.beat()
    await serving.acked(serving.offset)
    newcomer = await site.dial()
    wait = await newcomer.stand_by(producer=site.better)
    _require(wait.keys.get("by") == site.producer, f"#wait by={site.producer} ...", wait)
    _require(wait.number("offset") == serving.offset, f"#wait ... offset={serving.offset}", wait)
    _require("stream" not in wait.keys, "#wait without stream=", wait)


@_case("a newcomer of a higher rank ends no connection", "takeover", "rank", group=ALONE)
async def _no_eviction(site: Site) -> None:
    serving = await _served(site)
    await _standby(site, producer=site.best)
    serving.numbers(1)
    serving.beat()
    await serving.acked(serving.offset)


@_case("the same name without instance ends no connection", "instance", "takeover", group=ALONE)
async def _same_name(site: Site) -> None:
    serving = await _served(site)
    await _standby(site)
    serving.beat()
    await serving.acked(serving.offset)


@_case("the same instance ends the one that serves", "instance", "takeover", group=ALONE)
async def _takes_over(site: Site) -> None:
    serving = await _served(site, instance="00000000000000aa")
    newer = await site.dial()
    await newer.open(instance="00000000000000aa")
    await serving.expect_close("takeover", skip=ACKS)
    await newer.prove()


@_case("the same instance ends the one that waits", "instance", "takeover", group=ALONE)
async def _takes_over_standby(site: Site) -> None:
    serving = await _served(site)
    waiting = await _standby(site, instance="00000000000000ab")
    await _standby(site, instance="00000000000000ab")
    await waiting.expect_close("takeover")
    serving.beat()
    await serving.acked(serving.offset)


@_case("another instance of the same name ends no connection", "instance", group=ALONE)
async def _other_instance(site: Site) -> None:
    serving = await _served(site, instance="00000000000000ac")
    await _standby(site, instance="00000000000000ad")
    serving.beat()
    await serving.acked(serving.offset)


@_case("the served stream with other numbers= is malformed at once", "numbers-checked", group=ALONE)
async def _other_numbers(site: Site) -> None:
    serving = await _served(site)
    other = await site.dial()
    await other.open(numbers="integers:1:6")
    await other.expect_close("malformed")
    serving.beat()
    await serving.acked(serving.offset)


@_case("16 in the line, including the one that serves; the next is spare", "line-limit", group=ALONE)
async def _full_line(site: Site) -> None:
    serving = await _served(site, heartbeat="2.0")
    for _ in range(15):
        await _standby(site, heartbeat="2.0")
    late = await site.dial()
    await late.open(producer=site.best)
    await late.expect_close("spare")
    serving.beat()
    await serving.acked(serving.offset)
    await site.taken[1].leave()
    await _standby(site, producer=site.best)


# ---- waiting


@_case("a standby is asked once an ASK, the shorter of the two heartbeats", "asked", group=ALONE)
async def _ask_period(site: Site) -> None:
    serving = await _served(site, heartbeat="1.0")
    waiting = await _standby(site, heartbeat=str(QUICK))
    async with serving.kept_alive():
        last = await waiting.asked(6, within=6 * QUICK + 2.5)
    period = (last.at - waiting.waits[0].at) / 5
    _require(0.7 * QUICK <= period <= 2 * QUICK, f"a #wait every {QUICK} s", f"one every {period:.2f} s")


@_case("a standby is asked once an ASK, even if the serving heartbeat is the shorter", "asked", group=ALONE)
async def _ask_period_of_serving(site: Site) -> None:
    serving = await _served(site, heartbeat=str(QUICK))
    waiting = await site.dial()
    async with serving.kept_alive():
        await waiting.stand_by(heartbeat="5.0")
        await waiting.asked(4, within=4 * QUICK + 2.5)


@_case("a standby is asked at the pace of the new serving heartbeat", "asked", group=ALONE)
async def _ask_period_of_next(site: Site) -> None:
    serving = await _served(site, heartbeat="60")
    patient = await _standby(site, heartbeat="60")
    quick = await _standby(site, heartbeat=str(QUICK), producer=site.best)
    await serving.leave()
    await quick.prove()
    quick.heartbeat = QUICK
    async with quick.kept_alive():
        await patient.asked(3, within=3 * QUICK + 2.5)


@_case("#wait that answers none is malformed", "asked", group=ALONE)
async def _unasked(site: Site) -> None:
    await _served(site)
    waiting = await _standby(site)
    waiting.say("#wait")
    await waiting.expect_close("malformed")


for _name, _text, _rule in (
    ("numbers while waiting are malformed", "52", "unknown-verb"),
    ("a beat while waiting is malformed", "#beat offset=0 crc=00000000 t=1", "opening-beat"),
    ("a second #open while waiting is malformed", "#open", "unknown-verb"),
):

    @_case(_name, _rule, group=ALONE)
    async def _bad_while_waiting(site: Site, text: str = _text) -> None:
        await _served(site)
        waiting = await _standby(site)
        waiting.say(waiting.open_line() if text == "#open" else text)
        await waiting.expect_close("malformed")


@_case("an answer with an unknown key is an answer", "unknown-keys-ignored", group=ALONE)
async def _answer_with_key(site: Site) -> None:
    await _served(site)
    waiting = await site.dial()
    await waiting.greeted()
    waiting.say(waiting.open_line())
    await waiting.expect("#wait")
    waiting.say("#wait x=1")
    waiting.answers_waits = True
    await waiting.expect_nothing(0.5)


@_case("a standby that answers nothing ends after three ASKs, not before", "standby-liveness", group=ALONE)
async def _silent_standby(site: Site) -> None:
    serving = await _served(site)
    waiting = await site.dial()
    async with serving.kept_alive():
        await waiting.open(heartbeat="0.5")
        waiting.answers_waits = False
        opened = asyncio.get_running_loop().time()
        closed = await waiting.expect_close("timeout", within=1.5 + 2.5, skip=("#wait",))
    _require(closed.at - opened > 1.3, "a timeout after 1.5 s", f"after {closed.at - opened:.2f} s")


@_case("a standby that answers is kept", "standby-liveness", group=ALONE)
async def _lively_standby(site: Site) -> None:
    serving = await _served(site, heartbeat="0.5")
    waiting = await _standby(site, heartbeat=str(QUICK))
    async with serving.kept_alive():
        await waiting.asked(8, within=8 * QUICK + 2.5)


@_case("a standby that closes leaves the others alone", "close-reasons", group=ALONE)
async def _standby_leaves(site: Site) -> None:
    serving = await _served(site)
    waiting = await _standby(site)
    waiting.say("#close reason=shutdown")
    await waiting.expect_end()
    serving.beat()
    await serving.acked(serving.offset)


# ---- who serves next


async def _first_resumed(offers: list[Offer], within: float = 3.0) -> tuple[Offer, Line]:
    """Return the one of `offers` that gets `#resume` first, and the line."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while loop.time() < deadline:
        for offer in offers:
            item = await offer.take(0.0)
            if isinstance(item, Line) and item.verb == "#resume":
                offer.offset = max(0, item.number("offset"))
                return offer, item
            if item is not None:
                raise BrokenRuleError("#resume", item)
        await asyncio.sleep(0.01)
    raise BrokenRuleError("#resume to one of the line", f"nothing within {within:g} s")


@_case("the best-ranked of the line comes next, in turn", "promotion", "rank", "after", group=ALONE, limit=30)
async def _by_rank(site: Site) -> None:
    serving = await _served(site)
    serving.numbers(2)
    serving.beat()
    await serving.acked(serving.offset)
    offset = serving.offset
    names = {f"standby-{n}": await _standby(site, producer=f"standby-{n}") for n in range(4)}
    await serving.leave()
    for name in sorted(names, key=lambda name: rank(site.worker, name), reverse=True):
        offer, resume = await _first_resumed(list(names.values()))
        came = next(each for each in names if names[each] is offer)
        _require(came == name, f"#resume to {name}, the best-ranked of {', '.join(names)}", f"#resume to {came}")
        _require(resume.number("offset") in (offset, -1), f"#resume offset={offset}", resume)
        _require(resume.keys.get("after") == "promotion", "#resume ... after=promotion", resume)
        offer.beat()
        await offer.acked(offer.offset)
        await names.pop(name).leave()


@_case("equal names are ranked by instance", "rank", group=ALONE)
async def _equal_names(site: Site) -> None:
    serving = await _served(site)
    offers = [
        await _standby(site, producer="twin", instance=instance)
        for instance in ("7000000000000000", "f000000000000000", None)
    ]
    await serving.leave()
    offer, _ = await _first_resumed(offers)
    _require(offer is offers[1], "#resume to the higher instance", f"to number {offers.index(offer) + 1} of 3")


@_case("one that owes an answer is passed over", "promotion", group=ALONE)
async def _owes(site: Site) -> None:
    serving = await _served(site)
    mute = await site.dial()
    await mute.greeted()
    mute.say(mute.open_line(producer=site.best))
    await mute.expect("#wait")
    ready = await _standby(site, producer=site.better)
    await serving.leave()
    offer, _ = await _first_resumed([ready, mute])
    _require(offer is ready, f"#resume to {site.better}, which answered", f"to {site.best}, which did not")


@_case("after one that never beat, the one that has waited longest", "promotion", group=ALONE)
async def _longest_waiting(site: Site) -> None:
    serving = await _served(site)
    oldest = await _standby(site, producer="conform-old")
    names = sorted((f"later-{n}" for n in range(20)), key=lambda name: rank(site.worker, name))
    second, best = await _standby(site, producer=names[-2]), await _standby(site, producer=names[-1])
    await serving.leave()
    offer, _ = await _first_resumed([oldest, second, best])
    _require(offer is best, f"#resume to {names[-1]}, the best-ranked", "to another")
    best.cut()
    offer, _ = await _first_resumed([oldest, second])
    _require(offer is oldest, "#resume to the one that has waited longest", f"to {names[-2]}")


@_case("another stream waits behind the one that is served", "other-stream", group=ALONE)
async def _other_stream(site: Site) -> None:
    serving = await _served(site)
    other = await site.dial()
    wait = await other.stand_by(stream=site.another_stream(), producer=site.best)
    _require(wait.keys.get("stream") == site.stream, f"#wait ... stream={site.stream}", wait)
    same = await _standby(site)
    await serving.leave()
    offer, _ = await _first_resumed([other, same])
    _require(offer is same, "#resume to the one with the served stream", "to the one with another stream")
    same.beat()
    await same.acked(same.offset)
    await same.leave()
    offer, resume = await _first_resumed([other])
    _require(resume.number("offset") <= 0, "#resume of a new stream, with no offset or 0", resume)


@_case("a hand-over to the better after SETTLE, not before, right after an ack", "hand-over", "settle", "after",
       group=LONG, limit=40)  # fmt: skip
async def _hand_over(site: Site) -> None:
    loop = asyncio.get_running_loop()
    serving = await _served(site, producer=site.better, heartbeat="0.5")
    waiting = await _standby(site, producer=site.best, heartbeat="0.5")
    began = loop.time()
    last: Line | None = None
    async with serving.kept_alive():
        while not (isinstance(item := await serving.take(2.0), Line) and item.verb == "#close"):
            serving.numbers(1)
            _require(isinstance(item, Line) and item.verb == "#ack", "#ack", item or "nothing")
            _require(loop.time() < began + 25, "#close reason=yield within 20 s", "acks")
            last = item if isinstance(item, Line) else last
    _require(item.keys.get("reason") == "yield", "#close reason=yield", item)
    _require(item.at - began >= 9.9, "a hand-over after 10 s or more", f"after {item.at - began:.1f} s")
    _require(last is not None and "t" in last.keys, "#close right after an ack that answers a beat", last)
    _, resume = await _first_resumed([waiting])
    _require(resume.keys.get("after") == "hand-over", "#resume ... after=hand-over", resume)
    wanted = -1 if last is None else last.number("offset")
    _require(resume.number("offset") in (-1, wanted, wanted + 1), f"#resume offset={wanted}", resume)
    waiting.beat()
    await waiting.acked(waiting.offset)


@_case("the 17th connection without #open: one of the first 16 is busy", "slots", group=LAST)
async def _slots(site: Site) -> None:
    first = [await site.dial() for _ in range(16)]
    for offer in first:
        await offer.greeted()
    newest = await site.dial()
    await newest.greeted()
    await newest.expect_nothing(0.5)
    ended = [offer for offer in first if offer.ended is not None]
    _require(len(ended) == 1, "one of the first 16 closed", f"{len(ended)} closed")
    await ended[0].expect_close("busy")
