"""Cases against a producer, up to its opening beat: its answers to a greeting, a `#wait` and a `#resume`."""

from __future__ import annotations

import asyncio
from typing import Final

from .as_worker import Guest, Link
from .cases import BrokenRuleError, Case, NotPlayedError, case_adder
from .conversation import PATIENCE
from .wire import MAX_OFFSET

LINK: Final = "link"
"""Group: it needs one link of the producer."""

CASES: Final[list[Case]] = []
_case = case_adder(CASES)

NUMBERS: Final = ("numbers", "#beat")


def _refused(rule: str, name: str, text: str | bytes, *reasons: str) -> None:
    """`text`, in place of `#hello`, is answered with a `#close`: `malformed`, unless `reasons` are given."""

    @_case(name, rule, group=LINK)
    async def play(link: Link) -> None:
        guest = await link.guest()
        guest.send(text if isinstance(text, bytes) else f"{text}\n".encode("latin-1"))
        await guest.expect_close(*(reasons or ("malformed",)))


def _greets(rule: str, name: str, more: str = "", worker: str = "") -> None:
    """A `#hello` with `more` gets its `#open`."""

    @_case(name, rule, group=LINK)
    async def play(link: Link) -> None:
        guest = await link.guest()
        await guest.greet(worker or link.name(), more=more)


HELLO: Final = "#hello randstream/1 worker=conform-x"

_refused("ascii-lf", "#hello with CR before LF", HELLO + "\r")
_refused("ascii-lf", "#hello with a byte that is not ASCII", HELLO + " x=caf\xe9")
for _byte in "\t\0\x1b\x7f":
    _refused("ascii-lf", f"#hello with byte {ord(_byte):#04x} in an unknown key", HELLO + f" x=a{_byte}b")
_refused("hello-version", "#hello of another version", "#hello randstream/2 worker=conform-x", "version")
_refused("hello-version", "#hello without a version", "#hello worker=conform-x")
_refused("hello-version", "#hello alone", "#hello")
_refused("control-line", "#hello with two spaces", HELLO.replace(" worker", "  worker"))
_refused("control-line", "#hello with a space at its end", HELLO + " ")
_refused("control-line", "#hello with a word that is not key=value", HELLO + " word")
_refused("control-line", "#hello with an unknown key that has no value", HELLO + " x=")
_refused("bad-key", "#hello without worker", "#hello randstream/1")
_refused("bad-key", "#hello with worker empty", "#hello randstream/1 worker=")
_refused("bad-key", "#hello with worker twice", HELLO + " worker=conform-x")
for _name in (".hidden", "-dash", "a/b", "a:b", "n" * 129):
    _refused("names", f"worker={_name[:20]}", f"#hello randstream/1 worker={_name}")
for _line in (
    "#open worker=a", "#wait", "#resume offset=0", "#ack offset=0 t=1", "#beat offset=0 crc=00000000 t=1", "52",
    "hello", "", "SSH-2.0-OpenSSH_9.2", "# a comment",
):  # fmt: skip
    _refused("hello-first", f"{_line.split('=')[0] or 'an empty line'} in place of #hello", _line)
_refused("unknown-verb", "an unknown verb in place of #hello", "#status x=1")
_refused("line-too-long", "#hello of 513 bytes", (HELLO + " x=").ljust(512, "a"), "too-long")
_refused("line-too-long", "512 bytes of #hello, and no LF", (HELLO + " x=").ljust(512, "a").encode(), "too-long")
_refused("line-too-long", "64 bytes of a number, and no LF", b"1" * 64, "too-long", "malformed")
_greets("unknown-keys-ignored", "#hello with an unknown key", " colour=blue")
_greets("unknown-keys-ignored", "#hello with an unknown key twice", " colour=blue colour=red")
_greets("names", "a worker's name of 128 characters", worker="n" * 128)
_greets("names", "a worker's name of one character", worker="7")
_greets("control-line", "#hello of 512 bytes", " x=" + "a" * (511 - len("#hello randstream/1 worker=n x=")), worker="n")


@_case("#open, complete and correct", "open-check", "crc32c", "open-names-the-worker", "numbers-checked",
       "canonical-spelling", group=LINK)  # fmt: skip
async def _opens(link: Link) -> None:
    guest = await link.guest()
    await guest.greet(link.name())
    await guest.expect_nothing(min(1.0, 2 * guest.heartbeat))


@_case("a #hello that comes byte by byte", "ascii-lf", group=LINK)
async def _bytewise(link: Link) -> None:
    guest = await link.guest()
    name = link.name()
    for byte in f"#hello randstream/1 worker={name}\n".encode():
        guest.send(bytes([byte]))
        await asyncio.sleep(0.002)
    await guest.expect("#open")


def _times_out(name: str, first: str, dribble: str) -> None:
    @_case(name, "handshake-limit", group=LINK)
    async def play(link: Link) -> None:
        guest = await link.guest()
        guest.send(first.encode())

        async def dribble_on() -> None:
            while True:
                await asyncio.sleep(0.5)
                guest.send(dribble.encode())

        task = asyncio.create_task(dribble_on())
        try:
            closed = await guest.expect_close("timeout", within=5.0 + 2 * PATIENCE)
        finally:
            task.cancel()
        if closed.at - guest.began_at < 4.0:
            raise BrokenRuleError("5 s for #hello", f"{closed} after {closed.at - guest.began_at:.1f} s")


_times_out("no #hello within 5 s", "", "")
_times_out("half a #hello, byte by byte, moves no limit", "#hello randstream/1 worker=", "a")


@_case("one instance for all connections of a link", "instance", group=LINK)
async def _instance(link: Link) -> None:
    first = await link.guest()
    await first.serve(link.name())
    await first.progress()
    await first.leave()
    second = await link.guest()
    await second.greet(link.name())
    instance, again = (guest.opened.keys.get("instance") for guest in (first, second))
    if instance is None and again is None:
        raise NotPlayedError("the producer gives no instance")
    if instance != again:
        raise BrokenRuleError("the instance of the connection before", "another")


# ---- waiting


async def _opened(link: Link) -> Guest:
    guest = await link.guest()
    await guest.greet(link.name())
    return guest


def _bad_waiting(rule: str, text: str | bytes, *reasons: str, name: str = "") -> None:
    @_case(name or f"{str(text)[:50]}, while the producer waits", rule, group=LINK)
    async def play(link: Link) -> None:
        guest = await _opened(link)
        guest.send(text if isinstance(text, bytes) else f"{text}\n".encode("latin-1"))
        await guest.expect_close(*(reasons or ("malformed",)), skip=("#wait",))


def _good_waiting(rule: str, text: str, answers: int = 1) -> None:
    """`text` is answered at once with exactly `answers` `#wait` lines."""

    @_case(f"{text[:60]!r} is answered {answers} times", rule, group=LINK)
    async def play(link: Link) -> None:
        guest = await _opened(link)
        guest.say(text)
        for _ in range(answers):
            await guest.expect("#wait", 1.5)
        await guest.expect_nothing(0.3)


_good_waiting("asked", "#wait")
_good_waiting("asked", "#wait by=another offset=12")
_good_waiting("asked", "#wait offset=12")
_good_waiting("asked", "#wait\n#wait by=another\n#wait", 3)
_good_waiting("other-stream", "#wait by=another stream=0123456789abcdef")
_good_waiting("unknown-keys-ignored", "#wait x=1")
_good_waiting("control-line", "#wait stream=0123456789abcdef offset=1 by=another")
for _text in (
    "#wait by=", "#wait by=.a", "#wait by=a by=b", "#wait offset=01", "#wait offset=-1",
    "#wait offset=9223372036854775808",
    "#wait stream=0123", "#wait stream=0123456789ABCDEF", "#resume offset=", "#resume offset=01", "#resume offset=1.0",
    "#resume offset=9223372036854775808", "#resume offset=1 offset=1", "#resume after=", "#resume after=Start",
    f"#resume after={'a' * 33}",
):  # fmt: skip
    _bad_waiting("bad-key", _text)
_bad_waiting("bad-key", "#close")
_bad_waiting("bad-key", "#close reason=Shutdown")
_bad_waiting("control-line", "#wait word")
_bad_waiting("control-line", "#resume 5")
_bad_waiting("ascii-lf", "#wait\r", name="#wait with CR before LF")
_bad_waiting("unknown-verb", "#soon x=1")
_bad_waiting("unknown-verb", HELLO)
_bad_waiting("unknown-verb", "#ack offset=0")
_bad_waiting("unknown-verb", "#beat offset=0 crc=00000000 t=1")
_bad_waiting("number-line", "52")
_bad_waiting("line-too-long", "#wait x=".ljust(512, "a"), "too-long", name="#wait of 513 bytes")
_bad_waiting("line-too-long", b"#wait x=".ljust(512, b"a"), "too-long", name="512 bytes of #wait, and no LF")


@_case("a silent worker, after #open: three heartbeats", "silence", group=LINK)
async def _silent_worker(link: Link) -> None:
    guest = await _opened(link)
    guest.require_short_heartbeat()
    closed = await guest.expect_close("timeout", within=3 * guest.heartbeat + 2.5)
    if closed.at - guest.opened.at < 2.7 * guest.heartbeat:
        raise BrokenRuleError("three heartbeats of patience", f"{closed} after {closed.at - guest.opened.at:.2f} s")


@_case("a worker that asks is not silent", "silence", "incoming-bytes-only", group=LINK)
async def _asking_worker(link: Link) -> None:
    guest = await _opened(link)
    guest.require_short_heartbeat()
    for _ in range(6):
        guest.say("#wait by=another")
        await guest.expect("#wait", 1.5)
        await guest.expect_nothing(guest.heartbeat)


# ---- resume and the opening beat


def _resumes(name: str, rule: str, text: str, offset: int, answers: int = 0) -> None:
    """`text` is answered with `answers` `#wait` lines, then with the opening beat at `offset`."""

    @_case(name, rule, "opening-beat", group=LINK)
    async def play(link: Link) -> None:
        guest = await _opened(link)
        guest.say(text)
        for _ in range(answers):
            await guest.expect("#wait", 1.5)
        await guest.opening_beat(offset)


_resumes("#resume offset=0", "resume", "#resume offset=0", 0)
_resumes("#resume offset=1000000", "resume", "#resume offset=1000000 after=start", 1_000_000)
_resumes("#resume without offset, of a new stream: 0", "start-offset", "#resume", 0)
_resumes("#resume with an unknown after", "after", "#resume offset=7 after=lottery", 7)
_resumes("#resume with an unknown key", "unknown-keys-ignored", "#resume x=1 offset=7", 7)
_resumes("#resume with keys in another order", "control-line", "#resume after=promotion offset=7", 7)
_resumes("owed answers come before the opening beat", "asked", "#wait\n#wait\n#resume offset=5", 5, 2)
_resumes("#wait offset= is remembered", "start-offset", "#wait by=another offset=777\n#resume", 777, 1)
_resumes("the highest offset", "last-number", f"#resume offset={MAX_OFFSET - 1}", MAX_OFFSET - 1)


@_case("after the last number there is none", "last-number", group=LINK)
async def _last_number(link: Link) -> None:
    guest = await _opened(link)
    opening = await guest.resume(MAX_OFFSET - 1)
    guest.ack(opening)
    beat = await guest.beat()
    while beat.number("offset") < MAX_OFFSET:
        guest.ack(beat)
        beat = await guest.beat()
    guest.ack(beat)
    for _ in range(3):
        guest.ack(beat := await guest.beat())
    if beat.number("offset") != MAX_OFFSET:
        raise BrokenRuleError(f"beats at {MAX_OFFSET}", beat)
