"""Cases against a producer that serves this suite: numbers, beats, acks, the window, silence."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Final

from .as_worker import Guest, Link
from .cases import BrokenRuleError, Case, NotPlayedError, case_adder
from .conversation import PATIENCE
from .greeting import HELLO, LINK, NUMBERS
from .wire import MAX_OFFSET, Line, Run

CASES: Final[list[Case]] = []
_case = case_adder(CASES)

WINDOW: Final = 32 * 2**20
INTERVAL: Final = 8 * 2**20
WINDOW_SECONDS: Final = 45.0
"""Time for a producer to fill the window; a tenth of it shows its pace."""


async def _served(link: Link) -> Guest:
    guest = await link.guest()
    await guest.serve(link.name())
    return guest


def _ends(rule: str, name: str, text: str | bytes, *reasons: str) -> None:
    """`text`, while streaming, ends the connection: `malformed`, or with one of `reasons`. `{o}`: the acked offset."""

    @_case(name, rule, group=LINK)
    async def play(link: Link) -> None:
        guest = await _served(link)
        said = text if isinstance(text, bytes) else f"{text}\n".replace("{o}", str(guest.offset)).encode("latin-1")
        guest.send(said)
        await guest.expect_close(*(reasons or ("malformed",)), skip=NUMBERS)


def _goes_on(rule: str, name: str, text: str) -> None:
    """After `text` the stream goes on. `{o}`: the acked offset."""

    @_case(name, rule, group=LINK)
    async def play(link: Link) -> None:
        guest = await _served(link)
        guest.say(text.replace("{o}", str(guest.offset)))
        for _ in range(2):
            guest.ack(await guest.beat())


# ---- numbers and beats


@_case("numbers are counted, and each beat has their offset and CRC", "implied-offset", "beat-checks", "crc32c",
       "number-line", "beat-t", group=LINK)  # fmt: skip
async def _beats(link: Link) -> None:
    guest = await _served(link)
    for _ in range(5):
        guest.ack(await guest.beat())


@_case("no number comes before the opening beat", "opening-beat", group=LINK)
async def _opening(link: Link) -> None:
    guest = await link.guest()
    await guest.greet(link.name())
    await guest.resume(12)


@_case("a beat each heartbeat, at most a quarter early", "beat-period", "beat-early", group=LINK, limit=30)
async def _beat_period(link: Link) -> None:
    guest = await _served(link)
    guest.require_short_heartbeat()
    guest.ack(await guest.beat())
    times: list[float] = []
    first = guest.offset
    for _ in range(9):
        beat = await guest.beat(2 * guest.heartbeat + PATIENCE)
        guest.ack(beat)
        times.append(beat.at)
    if guest.offset - first > 100_000:
        raise NotPlayedError("numbers flow so fast that they cause beats of their own")
    period = (times[-1] - times[0]) / 8
    if not 0.85 <= period / guest.heartbeat <= 1.15:
        raise BrokenRuleError(f"a beat every {guest.heartbeat:g} s", f"one every {period:.3f} s")
    gaps = [later - earlier for earlier, later in pairwise(times)]
    if sorted(gaps)[1] < 0.5 * guest.heartbeat or sorted(gaps)[-2] > 2.0 * guest.heartbeat:
        raise BrokenRuleError(
            f"beats {0.75 * guest.heartbeat:g} to {1.25 * guest.heartbeat:g} s apart",
            " ".join(f"{gap:.2f}" for gap in gaps),
        )


@_case("beats go on while acks make no progress", "window", "beat-period", group=LINK)
async def _beats_go_on(link: Link) -> None:
    guest = await _served(link)
    guest.require_short_heartbeat()
    for _ in range(6):
        await guest.beat()
        guest.say("#ack offset=0")


@_case("32 MiB past the last ack, no more, and a beat each 8 MiB", "window", "beat-every-8-mib", group=LINK, limit=60)
async def _window(link: Link) -> None:
    guest = await _served(link)
    loop = asyncio.get_running_loop()
    begin, last_beat, number_bytes, interval = loop.time(), loop.time(), 0, 0
    acked = loop.time()
    while True:
        item = await guest.take(2 * guest.heartbeat + PATIENCE)
        now = loop.time()
        if now > acked + guest.heartbeat:
            guest.say("#ack offset=0")
            acked = now
        if isinstance(item, Run):
            number_bytes += len(item.lines)
            interval += len(item.lines)
            if number_bytes > WINDOW:
                raise BrokenRuleError("at most 32 MiB of numbers past the last ack", f"{number_bytes} bytes")
            if interval > INTERVAL:
                raise BrokenRuleError("a beat after 8 MiB of numbers", f"{interval} bytes without one")
        elif isinstance(item, Line) and item.verb == "#beat":
            if interval == 0 and number_bytes > INTERVAL:  # it waits for an ack
                return
            last_beat, interval = now, 0
        else:
            raise BrokenRuleError("numbers and beats", item or f"nothing since {now - last_beat:.1f} s")
        if now - begin > WINDOW_SECONDS / 10 and number_bytes / (now - begin) * WINDOW_SECONDS < WINDOW:
            raise NotPlayedError("numbers flow too slowly to fill 32 MiB; start the producer with --rate max")


# ---- acks

_ends("ack-in-range", "an ack above the last beat", "#ack offset=1000000000 t=1")
_ends("ack-in-range", "an ack of 2^63-1", f"#ack offset={MAX_OFFSET}")
_goes_on("ack-t", "an ack without t, again and again", "#ack offset={o}\n#ack offset={o}\n#ack offset={o}")
_goes_on("beat-t", "an ack with a t that was never sent", "#ack offset={o} t=99999999999999999999")
_goes_on("unknown-keys-ignored", "an ack with an unknown key", "#ack x=1 offset={o}")
_goes_on("words-a-second", "900 acks in a second", "\n".join(["#ack offset={o}"] * 900))
_ends("words-a-second", "1,500 acks in a second", "\n".join(["#ack offset={o}"] * 1500), "too-long")
for _ack in (
    "#ack", "#ack t=1", "#ack offset=", "#ack offset=0{o}", "#ack offset=-1", "#ack offset={o} offset={o}",
    "#ack offset={o} t=", "#ack offset={o} t=1.5", "#ack offset={o} t=-1", f"#ack offset={{o}} t={'1' * 21}",
    "#ack offset=9223372036854775808",
):  # fmt: skip
    _ends("bad-key", f"{_ack[:50]} while streaming", _ack)
_ends("control-line", "an ack with a word that is not key=value", "#ack offset={o} word")
_ends("control-line", "an ack with two spaces", "#ack  offset={o}")
_ends("ascii-lf", "an ack with CR before LF", "#ack offset={o}\r")
_ends("line-too-long", "an ack of 513 bytes", "#ack x=".ljust(512, "a"), "too-long")
_ends("line-too-long", "512 bytes of an ack, and no LF", b"#ack x=".ljust(512, b"a"), "too-long")
for _line in (
    HELLO, "#open worker=a", "#wait", "#resume offset=0", "#beat offset=0 crc=00000000 t=1", "52", "# a comment",
    "#status x=1",
):  # fmt: skip
    _rule = "number-line" if _line == "52" else "unknown-verb"
    _ends(_rule, f"{_line.split('=')[0]} while streaming", _line)


@_case("an ack below the last one", "ack-in-range", group=LINK)
async def _ack_below(link: Link) -> None:
    guest = await _served(link)
    beat = await guest.progress()
    guest.say(f"#ack offset={beat.number('offset') - 1}")
    await guest.expect_close("malformed", skip=NUMBERS)


@_case("an ack between two beats", "ack-in-range", group=LINK)
async def _ack_between(link: Link) -> None:
    guest = await _served(link)
    first = guest.offset
    beat = await guest.beat()
    while beat.number("offset") < first + 2:
        guest.say(f"#ack offset={first}")
        beat = await guest.beat()
    guest.say(f"#ack offset={first + 1}")
    for _ in range(2):
        guest.ack(await guest.beat())


@_case("an unfinished ack does not count", "unfinished-line", group=LINK)
async def _unfinished(link: Link) -> None:
    guest = await _served(link)
    guest.send(b"#ack offset=99999999999")
    await guest.beat()
    guest.send(b"9")
    await guest.beat()


@_case("the end of our direction is the end of the connection", "half-close", group=LINK)
async def _half_close(link: Link) -> None:
    guest = await _served(link)
    guest.end_our_direction()
    while (item := await guest.take()) is not None and guest.ended is None:
        pass
    if item is None:
        raise BrokenRuleError("the end of the connection", "nothing")


@_case("an ack of a later beat covers those before", "ack-means-stored", group=LINK)
async def _cumulative(link: Link) -> None:
    guest = await _served(link)
    first = guest.offset
    await guest.beat()
    guest.say(f"#ack offset={first}")
    for _ in range(3):
        guest.ack(await guest.beat())


@_case("an ack while the opening beat is on its way", "ack-once-a-heartbeat", group=LINK)
async def _ack_crosses(link: Link) -> None:
    guest = await link.guest()
    await guest.greet(link.name())
    guest.say("#resume offset=5", "#ack offset=5")
    guest.ack(await guest.opening_beat(5))
    guest.ack(await guest.beat())


@_case("an ack that comes byte by byte", "ascii-lf", group=LINK)
async def _bytewise(link: Link) -> None:
    guest = await _served(link)
    beat = await guest.beat()
    for byte in f"#ack offset={beat.keys['offset']} t={beat.keys['t']}\n".encode():
        guest.send(bytes([byte]))
        await asyncio.sleep(0.002)
    guest.ack(await guest.beat())


# ---- silence


@_case("three heartbeats without a byte end the connection, not fewer", "silence", "incoming-bytes-only", group=LINK)
async def _silence(link: Link) -> None:
    guest = await _served(link)
    guest.require_short_heartbeat()
    heard = asyncio.get_running_loop().time()
    closed = await guest.expect_close("timeout", within=3 * guest.heartbeat + 2.5, skip=NUMBERS)
    if closed.at - heard < 2.7 * guest.heartbeat:
        raise BrokenRuleError("three heartbeats of patience", f"{closed} after {closed.at - heard:.2f} s")


@_case("repeated acks keep the connection: a stalled sink is not dead", "silence", "ack-once-a-heartbeat",
       group=LINK)  # fmt: skip
async def _stalled(link: Link) -> None:
    guest = await _served(link)
    guest.require_short_heartbeat()
    for _ in range(6):
        guest.say("#ack offset=0")
        await guest.expect_nothing(guest.heartbeat, skip=NUMBERS)


@_case("acks that say why the sink takes nothing, known or not", "why", group=LINK)
async def _says_why(link: Link) -> None:
    guest = await _served(link)
    for why in ("disk-full", "a-word-of-the-future"):
        guest.say(f"#ack offset=0 why={why}")
        await guest.expect_nothing(guest.heartbeat, skip=NUMBERS)
