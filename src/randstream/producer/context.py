"""Context: what all links of a producer share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from ..net.budget import SendBudget
from ..net.credentials import Credentials
from ..net.timers import TimerWheel
from ..observe.journal import Journal
from ..observe.tally import Tally
from ..observe.throttle import Throttle
from ..settings import ProducerSettings, Seed
from .haste import Haste
from .history import Histories
from .names import Names
from .places import Places
from .resolver import Resolver

if TYPE_CHECKING:
    from .link import Link


@dataclass(frozen=True, slots=True)
class LinkContext:
    """Made by the producer, once."""

    settings: ProducerSettings
    seed: Seed
    wheel: TimerWheel
    resolver: Resolver
    credentials: Credentials | None
    random: Random
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    on_missed: Callable[[float], None]
    on_finished: Callable[[Link, float], None]
    on_bug: Callable[[Exception], None]
    tally: Tally
    journal: Journal
    longest_delay: float
    histories: Histories
    budget: SendBudget
    dials: Places
    reminders: Throttle
    names: Names[Link] = field(default_factory=Names)
    haste: Haste[Link] = field(default_factory=Haste)
