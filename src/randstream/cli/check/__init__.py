"""The check command: do long-lived connections to these workers survive, and how long are they interrupted?"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import SystemRandom
from typing import Final

import orjson

from ...children.orphans import reaping
from ...clock import Clock
from ...errors import SettingsError
from ...producer.producer import Producer
from ...service import find_loop
from ...settings import ProducerSettings
from ..output import STANDARD, is_same, opened_output, require_writable
from .check import Check, Until
from .program import Program
from .report import Limits, Report
from .view import View

ENDS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_check(
    settings: ProducerSettings,
    limits: Limits,
    seconds: float | None,
    command: Sequence[str],
    settle: float,
    report_file: str | None,
    junit_file: str | None,
) -> int:
    """Check, print the summary, write the files and return the exit status.

    Raises SettingsError: it cannot begin; SinkError: a file cannot be written after all.
    """
    inputs = settings.resolve(SystemRandom())
    for target in inputs.targets:
        if target.scheme == "raw":
            raise SettingsError(f"{target}: a raw peer acknowledges nothing, so nothing can be checked there")
    files = {"--report": report_file, "--junit": junit_file}
    for option, path in files.items():
        if path is not None:
            require_writable(path, option)
    if report_file is not None and junit_file is not None and is_same(report_file, junit_file):
        raise SettingsError(f"--report and --junit are both {report_file}; name two files")
    program = Program(command, Clock()) if command else None
    view = View(sys.stderr if STANDARD in files.values() else sys.stdout, is_live=program is None)
    producer = Producer(settings, inputs, keeps_round_trips=True, longest_delay=settings.heartbeat_interval)
    report = _run(producer, limits, Until(seconds, program, settle), view)
    view.summarize(report)
    if report_file is not None:
        with opened_output(report_file, "--report") as out:
            out.write(orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if junit_file is not None:
        with opened_output(junit_file, "--junit") as out:
            out.write(report.to_junit())
    if view.problem is not None:
        raise view.problem
    return report.status


def _run(producer: Producer, limits: Limits, until: Until, view: View) -> Report:
    async def run() -> Report:
        check = Check(producer, limits, until, view)
        with _signals_to(check, until.program), reaping(producer.clock):
            return await check.run()

    _, new_loop = find_loop(producer.settings.loop)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(run())


@contextmanager
def _signals_to(check: Check, program: Program | None) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the check in order; a second one ends the process at once, and the program with it."""
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        check.end(number)
        for again in heeded:
            loop.add_signal_handler(again, end_at_once, again)

    def end_at_once(number: signal.Signals) -> None:
        if program is not None:
            program.send(signal.SIGKILL)
        os._exit(128 + number)

    heeded = [number for number in ENDS if number is not signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
    for number in heeded:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
