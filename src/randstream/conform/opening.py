"""Cases against a worker, up to its answer to `#open`. Most are one line and the answer it must get."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .as_producer import Offer, Site
from .cases import BrokenRuleError, Case, case_adder
from .conversation import PATIENCE
from .wire import with_check

STRANGER: Final = "stranger"
"""Group: the case never joins the line, so several run at once, beside anything."""
JOINER: Final = "joiner"
"""Group: the case joins the line. Several run at once, but never beside a case that looks at the line."""

CASES: Final[list[Case]] = []
_case = case_adder(CASES)

Text = bytes | str | Callable[[Offer], str]
"""What to send: bytes, a line, or a function that makes a line; each line gets its LF."""


def _bytes(text: Text, offer: Offer) -> bytes:
    if isinstance(text, bytes):
        return text
    return f"{text if isinstance(text, str) else text(offer)}\n".encode("latin-1")


def _refused(rule: str, name: str, text: Text, *reasons: str) -> None:
    """`text`, in place of a good `#open`, is answered with a `#close`: `malformed`, unless `reasons` are given."""

    @_case(name, rule, group=STRANGER)
    async def play(site: Site) -> None:
        offer = await site.dial()
        await offer.greeted()
        offer.send(_bytes(text, offer))
        await offer.expect_close(*(reasons or ("malformed",)), skip=("# line 1 ",) if site.takes_raw else ())


def _passed_over(rule: str, name: str, line: str) -> None:
    """`line`, in place of a good `#open`, is `malformed`; or it is a raw peer's, which is passed over."""

    @_case(name, rule, group=STRANGER)
    async def play(site: Site) -> None:
        offer = await site.dial()
        await offer.greeted()
        offer.say(line)
        if site.takes_raw:
            offer.say("1-2")
            await offer.expect_fault(2)
        else:
            await offer.expect_close("malformed")


def _accepted(rule: str, name: str, text: Text) -> None:
    """`text` is a good `#open`: the producer joins the line, or serves."""

    @_case(name, rule, group=JOINER)
    async def play(site: Site) -> None:
        offer = await site.dial()
        await offer.greeted()
        offer.send(_bytes(text, offer))
        await _in_line(offer)


async def _in_line(offer: Offer) -> None:
    answer = await offer.take()
    if str(answer).partition(" ")[0] not in ("#wait", "#resume"):
        raise BrokenRuleError("#wait or #resume", answer or "nothing")
    if str(answer).startswith("#wait"):
        offer.say("#wait")
        offer.answers_waits = True


def bare(offer: Offer, **keys: str | None) -> str:
    """A good `#open` without its check."""
    return offer.open_line(**keys).rpartition(" check=")[0]


def _with(**keys: str | None) -> Callable[[Offer], str]:
    return lambda offer: offer.open_line(**keys)


def _and(more: str) -> Callable[[Offer], str]:
    """A good `#open` with `more` before its check, which is right."""
    return lambda offer: with_check(bare(offer) + more)


def _of_size(size: int) -> Callable[[Offer], str]:
    """A good `#open` padded by an unknown key to `size` bytes, with its LF."""
    return lambda offer: with_check((bare(offer) + " x=").ljust(size - len(" check=00000000\n"), "a"))


def _twice(key: str) -> Callable[[Offer], str]:
    return lambda offer: with_check(bare(offer) + next(f" {w}" for w in bare(offer).split() if w.startswith(f"{key}=")))


def _reversed(offer: Offer) -> str:
    verb, *words = bare(offer).split()
    return with_check(" ".join([verb, *reversed(words)]))


# ---- lines

_refused("ascii-lf", "CR before LF", lambda offer: offer.open_line() + "\r")
_refused("ascii-lf", "a byte that is not ASCII, in an unknown key", _and(" x=caf\xe9"))
for _byte in "\t\0\x07\x1b\x7f":
    _refused("ascii-lf", f"byte {ord(_byte):#04x} in an unknown key", _and(f" x=a{_byte}b"))
_refused("ascii-lf", "TLS to a plain-text port", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\n")
_refused("number-line", "a word that is not a number", "hello", "malformed", "refused")
_passed_over("number-line", "an empty line", "")
_refused("number-line", "HTTP", b"GET / HTTP/1.1\r\n\r\n", "malformed", "refused")
_refused("number-line", "a space before #open", lambda offer: " " + offer.open_line(), "malformed", "too-long")
_refused("control-line", "two spaces between words", _and("  x=1"))
_refused("control-line", "an unknown key without a value", _and(" x="))
_refused("control-line", "a value without a key", _and(" =x"))
_refused("control-line", "a word that is not key=value", _and(" word"))
_refused("control-line", "a space at the end", lambda offer: offer.open_line() + " ")
_accepted("control-line", "a control line of 512 bytes", _of_size(512))
_accepted("control-line", "keys of #open in another order", _reversed)
_refused("line-too-long", "a control line of 513 bytes", _of_size(513), "too-long")
_refused("line-too-long", "512 bytes of a control line, and no LF", b"#open x=".ljust(512, b"a"), "too-long")
_refused("line-too-long", "64 bytes of a number line, and no LF", b"1" * 64, "too-long")
_refused("line-too-long", "a number line of 65 bytes", "1" * 64, "too-long")
_passed_over("unknown-verb", "an unknown verb", "#status x=1")
_passed_over("unknown-verb", "a verb in capitals", "#OPEN worker=worker-0")
_passed_over("unknown-verb", "a # alone", "#")
_passed_over("unknown-verb", "a comment", "# a comment")
_accepted("unknown-keys-ignored", "an unknown key in #open", _and(" colour=blue"))
_accepted("unknown-keys-ignored", "an unknown key twice", _and(" x=1 x=1"))
_accepted("unknown-keys-ignored", "an unknown key whose value has =", _and(" x=a=b"))
_accepted(
    "unknown-keys-ignored", "an unknown key before the others",
    lambda offer: with_check(bare(offer).replace("#open", "#open x=1")),
)  # fmt: skip
for _line in (
    "#hello randstream/1 worker=worker-0", "#wait", "#resume offset=0", "#ack offset=0 t=1",
    "#beat offset=0 crc=00000000 t=1",
):  # fmt: skip
    _refused("hello-first", f"{_line.split()[0]} in place of #open", _line)

# ---- keys

for _key in ("worker", "stream", "numbers", "producer", "heartbeat"):
    _refused("bad-key", f"#open without {_key}", _with(**{_key: None}))
    _refused("bad-key", f"#open with {_key} empty", _with(**{_key: ""}))
    _refused("bad-key", f"#open with {_key} twice", _twice(_key))
_refused("bad-key", "#open with instance twice", _and(" instance=0123456789abcdef" * 2))
for _key, _values in {
    "stream": ("6ae2a63a0ac0510", "6ae2a63a0ac051099", "6AE2A63A0AC05109", "6ae2a63a0ac0510g"),
    "instance": ("6ae2a63a0ac0510", "6AE2A63A0AC05109", "x"),
    "producer": (".hidden", "-dash", "_under", "a/b", "a:b", "n" * 129),
    "heartbeat": ("0.049", "60.001", "100", "1.", ".5", "1.0000", "1e0", "+1", "-1", "0", "inf"),
}.items():
    for _value in _values:
        _refused("names" if _key == "producer" else "bad-key", f"{_key}={_value[:20]}", _with(**{_key: _value}))
for _value in ("0.05", "60", "60.000", "1", "0.5"):
    _accepted("bad-key", f"heartbeat={_value}", _with(heartbeat=_value))
for _value in ("n" * 128, "7", "a.b_c-d"):
    _accepted("names", f"producer={_value[:20]}, {len(_value)} characters", _with(producer=_value))
_accepted("instance", "#open with an instance", _with(instance="0000000000000001"))

# ---- the name, the check

_refused("open-names-the-worker", "another worker's name", _with(worker="another-than-this"))
_refused(
    "open-names-the-worker", "the worker's name and a letter",
    lambda offer: offer.open_line(worker=(offer.site.worker + "x")[-128:]),
)  # fmt: skip
_refused("open-check", "no check", bare)
_refused("open-check", "a wrong check", lambda offer: bare(offer) + " check=00000000")
_refused("open-check", "a check of seven digits", lambda offer: offer.open_line()[:-1])
_refused("open-check", "a check in capitals", lambda offer: bare(offer) + " check=ABCDEF01")
_refused("open-check", "a key after the check", lambda offer: offer.open_line() + " x=1")
_refused("open-check", "a byte changed under the check", lambda offer: offer.open_line().replace("heart", "heard"))
_refused("open-check", "the check twice", lambda offer: with_check(offer.open_line()))

# ---- numbers=

for _value in (
    "gamma:3.0", "integers", "integers:1", "integers:1:2:3", "integers:2:1", "integers:01:100", "integers:+1:100",
    "integers:-0:1", "integers:1.0:2.0", "integers:0:9223372036854775808", "integers:-9223372036854775809:0",
    "bits64:1", "bernoulli:1", "bernoulli:1.5", "bernoulli:-0.5", "bernoulli:0.5:0.5", "bernoulli:nan",
    "poisson:3", "poisson:1e3", "poisson:1000.0000000000001", "poisson:-1.0", "poisson",
    "uniform:0:1", "uniform:0.0", "uniform:-0.0:1.0", "uniform:1.0:0.0", "uniform:0.00:1.0", "uniform:0.0:1e3",
    "uniform:0.0:1.0e+16", "uniform:0.0:1e16", "uniform:0.0:10000000000000000.0", "uniform:0.000001:1.0",
    "uniform:1e-06:1.0", "exponential:1E+20", "uniform:nan:1.0", "uniform:0.0:inf", "exponential:1e+999",
    "exponential:-1.0", "exponential:2", "exponential:1.0:1.0", "normal:0.0", "normal:0.0:-1.0", "normal:0:1",
):  # fmt: skip
    _refused("numbers-checked", f"numbers={_value}", _with(numbers=_value))
for _number, _value in enumerate(
    (
        "integers:1:6", "integers:-5:-5", "integers:0:4294967295", "integers:-9223372036854775808:-9223372036854775807",
        "integers:0:4294967296", "integers:-9223372036854775808:9223372036854775807",
        "bits64", "bernoulli:0.0", "bernoulli:0.5", "bernoulli:1.0", "poisson:0.0", "poisson:1e-9", "poisson:1000.0",
        "uniform:0.0:1.0", "uniform:-1.5:2.25",
        "uniform:0.00001:1e+16", "exponential:2.0", "exponential:5e-324", "exponential:0.0",
        "normal:0.0:1.0", "normal:-1.5e-7:123456789.5",
    )
):  # fmt: skip
    _accepted("numbers-checked", f"numbers={_value}", _with(numbers=_value, stream=f"{_number:016x}"))

# ---- time, and the shape of what arrives


@_case("the greeting comes at once, and nothing after it", "hello-first", "names", group=STRANGER)
async def _greeting(site: Site) -> None:
    offer = await site.dial()
    await offer.greeted()
    await offer.expect_nothing(1.0)


def _times_out(name: str, first: bytes, dribble: bytes) -> None:
    @_case(name, "handshake-limit", group=STRANGER)
    async def play(site: Site) -> None:
        offer = await site.dial()
        await offer.greeted()
        offer.send(first)

        async def dribble_on() -> None:
            while True:
                await asyncio.sleep(0.5)
                offer.send(dribble)

        task = asyncio.create_task(dribble_on())
        try:
            closed = await offer.expect_close("timeout", within=5.0 + 2 * PATIENCE)
        finally:
            task.cancel()
        if closed.at - offer.began_at < 4.5:
            raise BrokenRuleError("5 s for #open", f"{closed} after {closed.at - offer.began_at:.1f} s")


_times_out("no #open within 5 s", b"", b"")
_times_out("half an #open, byte by byte, moves no limit", b"#open worker=", b"a")


@_case("an #open that comes byte by byte", "ascii-lf", group=JOINER)
async def _bytewise(site: Site) -> None:
    offer = await site.dial()
    await offer.greeted()
    for byte in f"{offer.open_line()}\n".encode():
        offer.send(bytes([byte]))
        await asyncio.sleep(0.002)
    await _in_line(offer)


@_case("a #close in place of #open", "close-reasons", group=STRANGER)
async def _close_instead(site: Site) -> None:
    offer = await site.dial()
    await offer.greeted()
    offer.say("#close reason=shutdown")
    await offer.expect_end()
