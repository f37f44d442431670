"""Role: a producer or a worker as a command, which ends with a summary if a person reads it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.text import Text

from .. import service
from ..observe.interruptions import InterruptionsStatus
from ..observe.logs import flush_logs
from ..producer.link import Link
from ..producer.producer import Producer
from ..settings import CommonSettings
from ..worker.worker import Worker
from .console import open_console
from .summary import Account, RoundTrips, count_causes, sum_up, summary_lines
from .words import counted


def has_reader() -> bool:
    """Whether a person reads the summary: standard error, where the logs go, is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def run_role(make_role: Callable[[], Producer | Worker], settings: CommonSettings) -> int:
    """Call `run_service`, then write the summary to standard error. Returns and raises as `run_service` does."""
    roles: list[Producer | Worker] = []

    def make() -> Producer | Worker:
        roles.append(make_role())
        return roles[-1]

    status = service.run_service(make, settings)
    if has_reader():
        flush_logs()
        console = open_console(sys.stderr)
        for line in summary_lines(account for role in roles for account in accounts_of(role)):
            console.print(Text(line), soft_wrap=True)
    return status


def accounts_of(role: Producer | Worker) -> list[Account]:
    """What became of the streams of a role that has ended."""
    now = role.clock.now()
    if isinstance(role, Producer):
        return [_sent(link, now) for link in role.links if link.history.stream or link.worker is None]
    if role.intake.offered is None and not role.tally.numbers:
        return []
    numbers = f"{counted(role.tally.numbers, 'number')} received, {role.tally.acked_numbers:,} acknowledged"
    status = role.intake.interruptions.status(now)
    return [_account(role.name, None, None, numbers, None, status)]


def _sent(link: Link, now: float) -> Account:
    history = link.history
    target = str(link.target)
    status = history.interruptions.status(now)
    if history.stream is None:
        return _account(target, None, f"not reached: {link.last_error or 'no answer yet'}", None, None, status)
    numbers = f"{counted(history.acknowledged + link.unacked, 'number')} sent"
    numbers += "" if link.target.scheme == "raw" else f", {history.acknowledged:,} acknowledged"
    return _account(link.worker or target, target, None, numbers, sum_up(history.round_trips), status)


def _account(
    name: str,
    peer: str | None,
    problem: str | None,
    numbers: str | None,
    round_trips: RoundTrips | None,
    status: InterruptionsStatus,
) -> Account:
    count = status.count + (status.current is not None)
    return Account(
        name, peer, problem, numbers, round_trips, count, status.longest, status.total, count_causes(status)
    )  # fmt: skip
