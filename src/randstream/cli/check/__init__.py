"""The check command: do long-lived connections to these workers survive, and how long are they interrupted?"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from random import SystemRandom

import orjson

from ...clock import Clock
from ...service import find_loop
from ...settings import ProducerSettings
from ..output import opened_output
from .check import Check, Until
from .program import Program
from .report import Limits, Report
from .view import View


def run_check(
    settings: ProducerSettings,
    limits: Limits,
    seconds: float | None,
    command: Sequence[str],
    settle: float,
    report_file: str | None,
    junit_file: str | None,
) -> int:
    """Check, write the files, say what came of it; the exit status. Raises SettingsError."""
    program = Program(command, Clock()) if command else None
    view = View(is_live=program is None)
    with ExitStack() as files:
        json, junit = (
            None if path is None else files.enter_context(opened_output(path, option))
            for path, option in ((report_file, "--report"), (junit_file, "--junit"))
        )
        report = _run(settings, limits, Until(seconds, program, settle), view)
        if json is not None:
            json.write(orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        if junit is not None:
            junit.write(report.to_junit())
    view.summarize(report)
    return report.status


def _run(settings: ProducerSettings, limits: Limits, until: Until, view: View) -> Report:
    inputs = settings.resolve(SystemRandom())

    async def run() -> Report:
        check = Check(settings, inputs, limits, until, view)
        with _signals_to(check):
            return await check.run()

    _, new_loop = find_loop(settings.loop)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(run())


@contextmanager
def _signals_to(check: Check) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the check in order; the second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        check.end(number)
        for again in ends:
            loop.add_signal_handler(again, os._exit, 128 + again)

    ends = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in ends:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in ends:
            loop.remove_signal_handler(number)
