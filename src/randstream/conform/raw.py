"""Cases against a worker that takes raw peers, which know no protocol. They are skipped if it takes none."""

from __future__ import annotations

import asyncio
from typing import Final

from .as_producer import Offer, Site
from .cases import BrokenRuleError, Case, NotPlayedError, case_adder
from .serving import ALONE

CASES: Final[list[Case]] = []
_case = case_adder(CASES)

NUMBERS: Final = (
    b"\xef\xbb\xbf# all of these are taken or passed over\r\n1\n-2.5\r\n\n \t\r\n  3\t\n+4\n1E-3\n.5\n5.\n-0\n007\n"
    b"1e5 # a comment\n#status x=1\n#" + b"x" * 600 + b"\n" + b" " * 600 + b"8\n" + b"9" * 63 + b"\n"
)
NO_NUMBERS: Final = (
    "2024-01-01", "10.0.0.1", "1-2", "--", "-", "1e", "1.2.3", ".", "+-1", "1 2", "NaN", "inf", "0x10", "1_000", "1,5",
    "hello", "#open worker=x", "#beat offset=1 crc=00000000 t=1", " #close reason=shutdown", "caf\xe9",
)  # fmt: skip


async def _raw(site: Site) -> Offer:
    if not site.takes_raw:
        raise NotPlayedError("the worker takes no raw peers")
    raw = await site.dial()
    await raw.greeted()
    return raw


@_case("a raw peer: refused while another serves, and ended without a word by #open", "raw", "raw-source", group=ALONE)
async def _one_at_a_time(site: Site) -> None:
    raw = await _raw(site)
    raw.send(b"1\n2\n")
    await raw.expect_nothing(0.5)
    second = await _raw(site)
    second.send(b"3\n")
    await second.expect_close("refused")
    offer = await site.dial()
    await offer.start()
    await raw.expect_end()
    third = await _raw(site)
    third.send(b"3\n")
    await third.expect_close("refused")


@_case("numbers in every spelling, at once and byte by byte", "raw-line", group=ALONE)
async def _spellings(site: Site) -> None:
    for size in (len(NUMBERS), 1):
        raw = await _raw(site)
        for at in range(0, len(NUMBERS), size):
            raw.send(NUMBERS[at : at + size])
            if size == 1:
                await asyncio.sleep(0)
        raw.send(b"1-2\n")
        await raw.expect_fault(NUMBERS.count(b"\n") + 1)


@_case("lines that are not numbers", "raw-line", "raw-fault", group=ALONE)
async def _no_numbers(site: Site) -> None:
    for text in NO_NUMBERS:
        raw = await _raw(site)
        raw.send(b"5\n" + text.encode("latin-1") + b"\n6\n")
        try:
            await raw.expect_fault(2)
        except BrokenRuleError as broken:
            raise BrokenRuleError(f"{broken.expected}, after {text!r}", broken.came) from None


@_case("64 bytes of a number, and no LF", "raw-line", group=ALONE)
async def _too_long(site: Site) -> None:
    raw = await _raw(site)
    raw.send(b"5\n  " + b"1" * 64)
    await raw.expect_fault(2, "too-long")


@_case("a last line without LF, at the end of the peer's direction", "raw-last-line", group=ALONE)
async def _last_line(site: Site) -> None:
    raw = await _raw(site)
    raw.send(b"5\n1-2")
    raw.end_our_direction()
    await raw.expect_fault(2)


@_case("a peer with much more to send can read what was wrong", "raw-fault", group=ALONE)
async def _much_more(site: Site) -> None:
    raw = await _raw(site)
    raw.send(b"5\nhello\n" + b"12345678\n" * 400_000)
    await raw.expect_fault(2)
