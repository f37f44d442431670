"""Cases against a worker that this suite serves: the offset, numbers, beats and acks, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .as_producer import HEARTBEAT, QUICK, Offer, Site
from .cases import BrokenRuleError, Case, NotPlayedError, case_adder
from .conversation import patience_for
from .wire import MAX_OFFSET, Line, beat

ALONE: Final = "alone"
"""Group: the case needs the worker to itself. These run one after the other."""

CASES: Final[list[Case]] = []
_case = case_adder(CASES)
ACKS: Final = ("#ack",)


async def _started(site: Site, **keys: str | None) -> Offer:
    offer = await site.dial()
    await offer.start(**keys)
    return offer


def _ends(rule: str, name: str, say: bytes | str | Callable[[Offer], str], *reasons: str) -> None:
    """`say`, while streaming, ends the connection: `malformed`, unless `reasons` are given."""

    @_case(name, rule, group=ALONE)
    async def play(site: Site) -> None:
        offer = await _started(site)
        text = say if isinstance(say, bytes | str) else say(offer)
        data = text if isinstance(text, bytes) else f"{text}\n".encode("latin-1")
        offer.send(data)
        await offer.expect_close(*(reasons or ("malformed",)), within=patience_for(data), skip=ACKS)


def _goes_on(rule: str, name: str, lines: bytes) -> None:
    """The number lines are taken: the beat after them is acked."""

    @_case(name, rule, group=ALONE)
    async def play(site: Site) -> None:
        offer = await _started(site, stream=site.another_stream())
        offer.interval(lines)
        offer.beat()
        await offer.acked(offer.offset, 1.25 * HEARTBEAT + patience_for(lines))


# ---- resume and the opening beat


@_case("#resume, the opening beat and its ack", "resume", "opening-beat", "ack-t", group=ALONE)
async def _resume(site: Site) -> None:
    offer = await _started(site)
    offer.numbers(3)
    offer.beat()
    await offer.acked(offer.offset)
    await offer.leave()
    again = await site.dial()
    resume = await again.start()
    if resume.number("offset") != offer.offset:
        raise BrokenRuleError(f"#resume offset={offer.offset}, what was acked last", resume)


@_case("#resume says after=start to the first", "after", group=ALONE)
async def _after_start(site: Site) -> None:
    resume = await (await site.dial()).start()
    if resume.keys.get("after") != "start":
        raise BrokenRuleError("#resume ... after=start", resume)


@_case("a new stream begins at 0, or where the producer chooses", "resume", "offset-of-one-stream", group=ALONE)
async def _new_stream(site: Site) -> None:
    offer = await site.dial()
    await offer.open(stream=site.another_stream())
    resume = await offer.resumed()
    if resume.number("offset") > 0:
        raise BrokenRuleError("#resume, without offset or with 0", resume)
    if "offset" not in resume.keys:
        offer.offset = 1000
    offer.beat("77")
    ack = await offer.acked(offer.offset)
    if ack.keys.get("t") != "77":
        raise BrokenRuleError("an ack with t=77", ack)


def _bad_opening(rule: str, name: str, say: Callable[[Offer], str], reason: str, *, named: bool = True) -> None:
    @_case(name, rule, group=ALONE)
    async def play(site: Site) -> None:
        await (await _started(site)).leave()
        offer = await site.dial()
        await offer.open()
        resume = await offer.resumed()
        if named and "offset" not in resume.keys:
            raise NotPlayedError("the worker names no offset, though it took this stream last")
        offer.say(say(offer))
        await offer.expect_close(reason, skip=ACKS)


_bad_opening("opening-beat", "an opening beat past the named offset", lambda o: beat(o.offset + 1), "mismatch")
_bad_opening(
    "opening-beat", "an opening beat with a CRC", lambda o: f"#beat offset={o.offset} crc=00000001 t=1", "mismatch"
)
_bad_opening("opening-beat", "a number before the opening beat", lambda o: "52", "malformed")
_bad_opening("asked", "a #wait after #resume that answers none", lambda o: "#wait", "malformed")
_bad_opening("unknown-verb", "an unknown verb before the opening beat", lambda o: "#no x=1", "malformed")


@_case("repeated acks while the opening beat is awaited", "ack-once-a-heartbeat", group=ALONE)
async def _acks_while_proving(site: Site) -> None:
    await (await _started(site)).leave()
    offer = await site.dial()
    await offer.open(heartbeat="1.0")
    resume = await offer.resumed()
    if "offset" not in resume.keys:
        raise NotPlayedError("the worker names no offset, and has none to repeat")
    ack = await offer.expect("#ack", 1.25 * HEARTBEAT + 1.0)
    if ack.number("offset") != offer.offset or "t" in ack.keys:
        raise BrokenRuleError(f"#ack offset={offer.offset}, without t", ack)


@_case("no opening beat: timeout", "standby-liveness", "silence", group=ALONE)
async def _no_opening_beat(site: Site) -> None:
    offer = await site.dial()
    await offer.open(heartbeat=str(QUICK))
    await offer.resumed()
    await offer.expect_close("timeout", within=3 * QUICK + 2.5, skip=ACKS)


# ---- numbers and beats

_goes_on("implied-offset", "one number", b"52\n")
_goes_on("implied-offset", "10,000 numbers in one write", b"52\n" * 10_000)
_goes_on("number-line", "a number line of 64 bytes", b"1" * 63 + b"\n")
_goes_on("number-line", "numbers with signs, points and exponents", b"-5\n1.5\n-0.25\n1.0e+16\n2.5e-7\n0\n")
_goes_on("beat-every-8-mib", "8 MiB of numbers between two beats", b"1234567\n" * 2**20)
for _name, _line in {
    "a plus sign first": b"+5\n", "a space first": b" 5\n", "a space last": b"5 \n", "a letter within": b"5x\n",
    "CR before LF": b"5\r\n", "an empty line": b"\n", "nan": b"nan\n", "a # within": b"5#\n",
    "a comma": b"1,5\n", "E in place of e": b"1E5\n", "a point first": b".5\n",
    "a NUL": b"5\0\n", "a byte over 127": b"5\xb2\n",
}.items():  # fmt: skip
    _ends("ascii-lf" if _name.startswith(("CR", "a byte")) else "number-line", f"a number line with {_name}", _line)
_ends("line-too-long", "a number line of 65 bytes, while streaming", b"1" * 64 + b"\n", "too-long")
_ends("line-too-long", "64 bytes of a number, and no LF", b"1" * 64, "too-long")
_ends("line-too-long", "a control line of 513 bytes, while streaming", "#beat x=".ljust(512, "a"), "too-long")
_ends("line-too-long", "512 bytes of a beat, and no LF", b"#beat x=".ljust(512, b"a"), "too-long")
_ends("beat-checks", "a beat one too far", lambda o: beat(o.offset + 1), "mismatch")
_ends("beat-checks", "a beat one too few", lambda o: "52\n52\n" + beat(o.offset + 1, b"52\n52\n"), "mismatch")
_ends("beat-checks", "a beat with another CRC", lambda o: "52\n" + beat(o.offset + 1, b"53\n"), "mismatch")
_ends("beat-checks", "a beat whose CRC leaves out the LFs", lambda o: "52\n" + beat(o.offset + 1, b"52"), "mismatch")
_ends("beat-checks", "the CRC of no bytes after a number", lambda o: "52\n" + beat(o.offset + 1), "mismatch")
_ends(
    "beat-checks", "a CRC that goes on from the last beat",
    lambda o: "\n".join(("52", beat(o.offset + 1, b"52\n"), "53", beat(o.offset + 2, b"52\n53\n"))),
    "mismatch",
)  # fmt: skip
_ends("beat-every-8-mib", "more than 8 MiB of numbers without a beat", b"1234567\n" * 2**20 + b"1\n", "too-long")

for _beat in (
    "offset={o}", "offset={o} crc=00000000", "offset={o} t=1", "crc=00000000 t=1", "offset=0{o} crc=00000000 t=1",
    "offset={o} crc=0000000 t=1", "offset={o} crc=0000000G t=1", "offset={o} crc=00000000 t=",
    "offset= crc=00000000 t=1",
    "offset={o} crc=00000000 t=-1", "offset={o} crc=00000000 t=1.5", f"offset={{o}} crc=00000000 t={'1' * 21}",
    "offset={o} offset={o} crc=00000000 t=1", "offset={o} crc=00000000 t=1 t=2", "offset={o} crc=00000000 t=1 word",
    "offset={o}  crc=00000000 t=1", "offset=9223372036854775808 crc=00000000 t=1",
):  # fmt: skip
    _rule = "control-line" if "word" in _beat or "  " in _beat else "bad-key"
    _ends(_rule, f"#beat {_beat[:60]}", lambda o, text=_beat: "#beat " + text.replace("{o}", str(o.offset)))  # type: ignore[misc] # mypy cannot infer a lambda's default
for _word in (
    "#hello randstream/1 worker=a", "#resume offset=0", "#ack offset=0 t=1", "#wait", "#no x=1", "# a comment",
):  # fmt: skip
    _rule = "asked" if _word == "#wait" else "unknown-verb"
    _ends(_rule, f"{_word.split('=')[0]} while streaming", _word)
_ends("unknown-verb", "#open while streaming", lambda o: o.open_line())


@_case("a beat with keys in another order, and one unknown", "unknown-keys-ignored", "control-line", group=ALONE)
async def _other_order(site: Site) -> None:
    offer = await _started(site)
    offer.say(f"#beat t=5 x=1 crc=00000000 offset={offer.offset}")
    ack = await offer.acked(offer.offset)
    if ack.keys.get("t") != "5":
        raise BrokenRuleError("an ack with t=5", ack)


@_case("t of one digit and of twenty comes back unchanged", "beat-t", "ack-t", group=ALONE)
async def _t_comes_back(site: Site) -> None:
    offer = await _started(site)
    for t in ("0", "00000000000000000042", "99999999999999999999"):
        offer.numbers(1)
        offer.beat(t)
        ack = await offer.acked(offer.offset)
        if ack.keys.get("t") != t:
            raise BrokenRuleError(f"#ack offset={offer.offset} t={t}", ack)


@_case("numbers and beats cut anywhere", "ascii-lf", "beat-checks", group=ALONE)
async def _cut_anywhere(site: Site) -> None:
    offer = await _started(site)
    for byte in b"52\n7\n%s\n100\n" % beat(offer.offset + 2, b"52\n7\n").encode():
        offer.send(bytes([byte]))
        await asyncio.sleep(0.002)
    await offer.acked(offer.offset + 2)


@_case("numbers right after the opening beat", "numbers-at-once", group=ALONE)
async def _at_once(site: Site) -> None:
    offer = await site.dial()
    await offer.open()
    await offer.resumed()
    offer.beat("1")
    offer.numbers(3)
    offer.beat("2")
    await offer.acked(offer.offset)


@_case("an unfinished number counts for nothing until its LF has come", "unfinished-line", group=ALONE)
async def _unfinished(site: Site) -> None:
    offer = await _started(site)
    offer.send(b"5")
    await offer.drain()
    await offer.expect("#ack", 1.25 * HEARTBEAT + 1.0)
    offer.send(b"2")
    await offer.drain()
    offer.cut()
    again = await site.dial()
    resume = await again.start()
    if resume.number("offset") != offer.offset:
        raise BrokenRuleError(f"#resume offset={offer.offset}", resume)


@_case("the end of our direction is the end of the connection", "half-close", group=ALONE)
async def _half_close(site: Site) -> None:
    offer = await _started(site)
    offer.end_our_direction()
    while isinstance(item := await offer.take(), Line):
        pass
    if offer.ended is None:
        raise BrokenRuleError("the end of the connection", item or "nothing")
    await (await site.dial()).start()


@_case("two hundred beats at once: each ack lies between the last and the last beat", "ack-in-range", group=ALONE)
async def _many_beats(site: Site) -> None:
    offer = await _started(site)
    first = last = offer.offset
    for _ in range(200):
        offer.numbers(1)
        offer.beat()
    while last < first + 200:
        ack = await offer.expect("#ack", 1.25 * HEARTBEAT + 3.0)
        if not last <= ack.number("offset") <= first + 200:
            raise BrokenRuleError(f"an ack from {last} to {first + 200}", ack)
        last = ack.number("offset")


@_case("beats a thousandth of a second apart get no flood of acks", "words-a-second", group=ALONE)
async def _flood(site: Site) -> None:
    offer = await _started(site)
    loop = asyncio.get_running_loop()
    begin = due = loop.time()
    acks: list[float] = []
    while loop.time() < begin + 2.5:
        offer.numbers(1)
        offer.beat()
        due += 0.0004
        await asyncio.sleep(0)
        while loop.time() < due:  # noqa: ASYNC110 - no timer is as fine as that
            await asyncio.sleep(0)
        while (item := await offer.take(0.0)) is not None:
            if not isinstance(item, Line) or item.verb != "#ack":
                raise BrokenRuleError("acks", item)
            acks.append(item.at)
    most = max((sum(at <= each < at + 1.0 for each in acks) for at in acks[::20]), default=0)
    if most > 1000:
        raise BrokenRuleError("at most 1,000 acks in a second", f"{most}")


@_case("acks once a heartbeat while beats come", "ack-once-a-heartbeat", group=ALONE)
async def _ack_period(site: Site) -> None:
    offer = await _started(site, heartbeat=str(QUICK))
    async with offer.kept_alive():
        for _ in range(8):
            await offer.expect("#ack", 1.25 * QUICK + 1.0)


@_case("no beat: the last ack again, without t", "ack-once-a-heartbeat", "ack-t", group=ALONE)
async def _repeated_ack(site: Site) -> None:
    offer = await _started(site)
    ack = await offer.expect("#ack", 1.25 * HEARTBEAT + 1.0)
    if ack.number("offset") != offer.offset or "t" in ack.keys:
        raise BrokenRuleError(f"#ack offset={offer.offset}, without t", ack)
    if ack.at - offer.began_at < HEARTBEAT * 0.9:
        raise BrokenRuleError("a repeated ack 1.25 heartbeats after the last", f"{ack.at - offer.began_at:.2f} s after")


@_case("numbers without a beat are not acked", "ack-means-stored", "ack-in-range", group=ALONE)
async def _no_ack_past_a_beat(site: Site) -> None:
    offer = await _started(site)
    before = offer.offset
    offer.numbers(10)
    ack = await offer.expect("#ack", 1.25 * HEARTBEAT + 1.0)
    if ack.number("offset") != before:
        raise BrokenRuleError(f"#ack offset={before}", ack)


# ---- what is left after the end


@_case("after a bad beat the stream goes on at the last good one", "immediate-resume", "revocable-sink", group=ALONE)
async def _after_mismatch(site: Site) -> None:
    offer = await _started(site)
    offer.numbers(5)
    offer.beat()
    await offer.acked(offer.offset)
    offer.send(b"1\n2\n")
    offer.say(beat(offer.offset + 2, b"3\n"))
    await offer.expect_close("mismatch", skip=ACKS)
    resume = await (await site.dial()).start()
    if resume.number("offset") not in (offer.offset, -1):
        raise BrokenRuleError(f"#resume offset={offer.offset}", resume)


@_case("after a cut the stream goes on where the sink stands", "immediate-resume", "ack-means-stored", group=ALONE)
async def _after_cut(site: Site) -> None:
    offer = await _started(site)
    offer.numbers(5)
    offer.beat()
    await offer.acked(offer.offset)
    offer.send(b"1\n2\n")
    await offer.drain()
    offer.cut()
    resume = await (await site.dial()).start()
    if resume.number("offset") not in (-1, *range(offer.offset, offer.offset + 3)):
        raise BrokenRuleError(f"#resume offset={offer.offset}, or up to two more", resume)


# ---- silence


def _silent(name: str, rule: str, dribble: bytes) -> None:
    @_case(name, rule, group=ALONE)
    async def play(site: Site) -> None:
        offer = await _started(site, heartbeat="0.5")
        heard = asyncio.get_running_loop().time()
        if dribble:
            for _ in range(4):
                await asyncio.sleep(0.5)
                offer.send(dribble)
            heard = asyncio.get_running_loop().time()
        closed = await offer.expect_close("timeout", within=1.5 + 2.5, skip=ACKS)
        if closed.at - heard < 1.4:
            raise BrokenRuleError("a timeout after 1.5 s of silence", f"{closed} after {closed.at - heard:.2f} s")


_silent("three heartbeats without a byte end the connection, not fewer", "silence", b"")
_silent("any byte is a sign of life", "incoming-bytes-only", b"1")


# ---- ends


def _closes(name: str, line: str, rule: str) -> None:
    @_case(name, rule, group=ALONE)
    async def play(site: Site) -> None:
        offer = await _started(site)
        offer.say(line)
        while isinstance(item := await offer.take(), Line) and item.verb == "#ack":
            pass
        if str(item).startswith("#") or item is None:
            raise BrokenRuleError("the end of the connection", item or "nothing")
        await (await site.dial()).start()


_closes("#close ends the connection", "#close reason=shutdown", "close-reasons")
_closes("#close with an unknown reason", "#close reason=out-of-paper", "unknown-reason")
_ends("bad-key", "#close without a reason", "#close")
_ends("bad-key", "#close with a reason in capitals", "#close reason=Shutdown")
_ends("bad-key", "#close with a reason of 33 characters", f"#close reason={'a' * 33}")


@_case("the last offset of a stream can be named, and no number comes after it", "last-number", group=ALONE)
async def _last_number(site: Site) -> None:
    offer = await site.dial()
    await offer.open(stream=site.another_stream())
    if "offset" in (await offer.resumed()).keys:
        raise NotPlayedError("the worker names the offset of a new stream, and sending 2^63-1 numbers takes too long")
    offer.offset = MAX_OFFSET - 1
    offer.beat()
    await offer.acked(offer.offset)
    offer.numbers(1)
    offer.beat()
    await offer.acked(MAX_OFFSET)
    offer.send(b"1\n")
    await offer.expect_close("malformed", skip=ACKS)
