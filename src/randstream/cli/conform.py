"""The conform command: what the suites find, for a terminal, a log or a machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from random import SystemRandom
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from ..conform.cases import Case, Outcome
from ..conform.report import Report, to_junit, unseen_lines
from ..conform.rules import UNSEEN
from ..conform.suites import PRODUCER_CASES, WORKER_CASES, run_producer_suite, run_worker_suite
from ..errors import SettingsError
from ..settings import Address
from .console import shown_progress
from .endings import orderly_end
from .output import opened_output, require_writable

Suite = Callable[[list[Case], Callable[[Outcome], None]], Coroutine[Any, Any, None]]


def judge_worker(address: Address, only: Sequence[str], junit: str | None, seconds: float) -> int:
    """Judge the worker at `address` and return the exit status. Raises SettingsError."""

    def suite(cases: list[Case], note: Callable[[Outcome], None]) -> Coroutine[Any, Any, None]:
        return run_worker_suite(
            address.host or "127.0.0.1", address.port, cases, note, seconds=seconds, random=SystemRandom()
        )

    return _judge("worker", WORKER_CASES, suite, only, junit)


def judge_producer(address: Address, only: Sequence[str], junit: str | None, seconds: float, seed: str | None) -> int:
    """Judge the producer that dials `address` and return the exit status. Raises SettingsError."""
    listening = partial(_say_listening)

    def suite(cases: list[Case], note: Callable[[Outcome], None]) -> Coroutine[Any, Any, None]:
        return run_producer_suite(
            address.host or "0.0.0.0",  # noqa: S104 - an empty host means it
            address.port,
            cases,
            note,
            seconds=seconds,
            seed=seed,
            listening=listening,
        )

    return _judge("producer", PRODUCER_CASES, suite, only, junit)


def _say_listening(address: str) -> None:
    click.echo(f"Waiting for the producer at {address}.", err=True)


def _judge(role: str, known: list[Case], suite: Suite, only: Sequence[str], junit: str | None) -> int:
    cases = _selected(known, only)
    if junit is not None:
        require_writable(junit, "--junit")
    report = Report(cases, only)
    columns = TextColumn("conform"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with orderly_end() as ending, shown_progress(*columns, total=len(cases)) as update:

        def note(outcome: Outcome) -> None:
            update(advance=1)
            with ending.held():  # it draws
                for line in report.note(outcome):
                    _print(line)

        asyncio.run(suite(cases, note))
    if not only:
        for line in unseen_lines():
            _print(line)
    _print(f"{report.played} of {len(cases)} cases played, {report.failed or 'none'} failed")
    if junit is not None:
        with opened_output(junit, "--junit") as out:
            out.write(to_junit(f"randstream conform {role}", report.outcomes))
    return 1 if report.failed else 0


def _print(line: str) -> None:
    label, rest = line[:9], line[9:]
    colour = {"FAILED": "red", "ok": "green"}.get(label.strip())
    styled = click.style(label, fg=colour, bold=colour == "red") if colour else label
    click.echo(styled + rest, file=sys.stdout)  # click's own choice would pass the progress by


def _selected(known: list[Case], only: Sequence[str]) -> list[Case]:
    for rule in only:
        if rule in UNSEEN:
            raise SettingsError(f"--only {rule}: no case plays it: {UNSEEN[rule]}")
        if not any(rule in case.rules for case in known):
            raise SettingsError(f"--only {rule}: no case here plays a rule of that name; see docs/protocol.md")
    return [case for case in known if not only or set(only) & set(case.rules)]
