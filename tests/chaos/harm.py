"""Harm: a fault that strikes once, at a later byte. Bytes in, bytes out; the proxy does the rest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.chaos.plan import CORRUPTIONS, Fault, Kind

STRIKES: Final = CORRUPTIONS | {Kind.DUPLICATE, Kind.CUT_RST, Kind.CUT_FIN}
"""The kinds that strike at a certain byte."""


@dataclass(slots=True)
class Harm:
    """A fault that strikes once, at a later byte."""

    fault: Fault
    random: Random
    skip: int
    """How many bytes still pass unharmed."""
    struck: asyncio.Event = field(default_factory=asyncio.Event)

    def pass_over(self, data: bytes) -> bytes:
        """`data`, harmed if the byte is in it; `struck` is then set."""
        if self.skip >= len(data):
            self.skip -= len(data)
            return data
        self.struck.set()
        at, random = self.skip, self.random
        match self.fault.kind:
            case Kind.FLIP:
                # Half of them turn a digit into another digit, which only a checksum notices.
                mask = random.choice([1, random.randint(1, 255)])
                return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
            case Kind.INSERT:
                byte = random.choice([random.choice(b"0123456789\n"), random.randrange(256)])
                return data[:at] + bytes([byte]) + data[at:]
            case Kind.DELETE:
                return data[:at] + data[at + 1 :]
            case Kind.DUPLICATE:
                size = random.randint(1, len(data) - at)
                return data[: at + size] + data[at:]
            case Kind.CUT_RST | Kind.CUT_FIN:
                while data[:at].endswith(b"\n"):
                    at -= 1
                return data[:at]
            case _:
                raise AssertionError(f"{self.fault.kind} does not strike bytes")
