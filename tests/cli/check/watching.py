"""Watching: a check in this process, with a program that a test ends, and the lines that a person would read."""

from __future__ import annotations

import asyncio
import io
import signal
from typing import Any, cast

from tests.support.clock import clock_of_loop
from tests.support.roles import address_of
from tests.support.services import Services

from randstream.cli.check.check import Check, Until
from randstream.cli.check.program import Program
from randstream.cli.check.report import Command, Limits
from randstream.cli.check.view import View
from randstream.producer.producer import Producer
from randstream.settings import ProducerSettings

HEARTBEAT = 0.1
LIMITS = Limits(2.0, 5.0)


class Fake:
    """A program that ends when a test says so. Stands in for `Program`."""

    arguments = ("kubectl", "rollout")

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.over = asyncio.Event()
        self.signals: list[signal.Signals] = []
        self.command = Command(self.arguments, 0, 1.0)

    async def run(self) -> Command:
        self.begun.set()
        await self.over.wait()
        return self.command

    def end(self, number: signal.Signals) -> None:
        self.signals.append(number)
        self.over.set()


class Watch:
    """A check of `targets`, not running yet, and what it said."""

    def __init__(
        self,
        *targets: Any,
        seconds: float | None = None,
        program: Fake | None = None,
        settle: float = 5.0,
        dns: Services | None = None,
        **settings: Any,
    ) -> None:
        self.out = io.StringIO()
        given: dict[str, Any] = {
            "workers": ",".join(map(address_of, targets)), "name": "check", "heartbeat_interval": HEARTBEAT,
            "rate": 10, "grace_period": 2.0, **settings,
        }  # fmt: skip
        self.producer = Producer(
            ProducerSettings(**given), clock=clock_of_loop(), dns=dns or Services(), keeps_round_trips=True,
            longest_delay=HEARTBEAT,
        )  # fmt: skip
        until = Until(seconds, cast("Program | None", program), settle)
        self.view = View(self.out, is_live=True)
        self.check = Check(self.producer, LIMITS, until, self.view)

    @property
    def lines(self) -> list[str]:
        """What it said, without the times."""
        return [line.split(" s  ", 1)[-1] for line in self.out.getvalue().splitlines()]
