"""The commands. The only reader of the command line and the environment, and the one place that chooses exit codes.

0: done. 1: something failed. 2: what was given cannot be used, said in one line. 130: Ctrl-C.
Every import that costs is made inside the command that needs it: `--help` is quick.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from . import __version__
from .errors import RandstreamError, SettingsError
from .settings import (
    CommonSettings,
    ProducerSettings,
    Setting,
    WorkerSettings,
    check_name,
    check_seed,
    read_seed,
    settings_of,
)

SettingsT = TypeVar("SettingsT", bound=CommonSettings)
ROLE_VARIABLE = "RANDSTREAM_ROLE"
RUN_NUMBERS = 65536
_PRODUCER = settings_of(ProducerSettings)
_WORKER = settings_of(WorkerSettings)
_ROLES = {"producer": ProducerSettings, "worker": WorkerSettings}


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command that `arguments` name, or that of the role in the environment; the exit status."""
    try:
        _check_environment()
        status: int | None = commands.main(
            args=_with_role(arguments), prog_name="randstream", standalone_mode=False
        )
    except click.ClickException as error:
        return _complain(error.format_message())
    except RandstreamError as error:
        return _complain(str(error))
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains as it flushes
        return 0
    return status or 0


def _complain(message: str) -> int:
    line = " ".join(message.split())
    print(f"randstream: {line}", file=sys.stderr)
    return 2


def _with_role(arguments: list[str]) -> list[str]:
    """Put the role that the environment names in front, unless a command is given."""
    role = os.environ.get(ROLE_VARIABLE)
    if role is None or (arguments and (arguments[0] in commands.commands or arguments[0] in ("--help", "--version"))):
        return arguments
    if role not in _ROLES:
        raise SettingsError(f"{ROLE_VARIABLE}={role} is no role; set it to producer or worker")
    return [role, *arguments]


def _check_environment() -> None:
    known = {each.variable for kind in _ROLES.values() for each in settings_of(kind).values()} | {ROLE_VARIABLE}
    for variable in os.environ:
        if variable.startswith("RANDSTREAM_") and variable not in known:
            near = difflib.get_close_matches(variable, known, n=1)
            advice = f"did you mean {near[0]}?" if near else "see `randstream producer --help` for those there are"
            raise SettingsError(
                f"{variable} is no setting; {advice} (from a Kubernetes Service? set enableServiceLinks: false)"
            )


def _option(known: Setting, *, only_flag: bool = False) -> Callable[[Any], Any]:
    shown = "" if known.is_switch else f" Default: {known.default_text}."
    return click.option(
        f"--{known.flag}",
        _field_name(known),
        metavar=known.metavar or None,
        is_flag=known.is_switch,
        default=None,
        envvar=None if only_flag else known.variable,
        show_envvar=True,
        help=known.help + shown,
    )


def _field_name(known: Setting) -> str:
    return known.flag.replace("-", "_")


def _options_of(kind: type[CommonSettings], without: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for name, known in reversed(settings_of(kind).items()):
            if name not in without:
                command = _option(known)(command)
        return command

    return decorate


def _make_settings(kind: type[SettingsT], given: dict[str, Any]) -> SettingsT:
    names = {_field_name(known): name for name, known in settings_of(kind).items()}
    return kind(**{names[key]: value for key, value in given.items() if value is not None})


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every option of producer and worker is an environment variable too, such as RANDSTREAM_RATE for --rate;"
    " RANDSTREAM_ROLE=producer or worker then makes `randstream` alone run that role. Flags win.",
)
@click.version_option(__version__, prog_name="randstream", message="%(prog)s %(version)s")
def commands() -> None:
    """An unbroken, reproducible stream of random numbers from one producer to every worker.

    \b
      randstream worker                                in one terminal
      randstream producer --workers 127.0.0.1:9000     in another
      randstream demo                                  see streams break and heal
    """


@commands.command(epilog="Example: randstream producer --workers a:9000,b:9000 --rate max --seed-file seed.txt")
@_options_of(ProducerSettings)
def producer(**given: Any) -> int:
    """Stream numbers to workers, for ever."""
    settings = _make_settings(ProducerSettings, given)
    with _prepared(settings):
        from .producer import Producer
        from .service import run_service

        return run_service(lambda: Producer(settings), settings)


@commands.command(epilog="Example: randstream worker --listen 0.0.0.0:9000 --store /data\n\nExample: randstream worker -- ./simulate --fast")
@_options_of(WorkerSettings, without=("command",))
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
def worker(**given: Any) -> int:
    """Take one stream of numbers: to standard output, a store, a command, or nowhere."""
    given["command"] = given["command"] or os.environ.get(_WORKER["command"].variable)
    settings = _make_settings(WorkerSettings, given)
    with _prepared(settings):
        from .service import run_service
        from .worker import Worker

        return run_service(lambda: Worker(settings), settings)


@commands.command()
@click.option("--seconds", type=click.FloatRange(min=2), help="Stop after so long. Default: at Ctrl-C.")
def demo(seconds: float | None) -> int:
    """Watch three streams: a worker is killed, a connection cut, both heal; then every number is proved.

    Exit status 0: every worker's numbers are exact.
    """
    from .demo import run_demo

    return run_demo(seconds)


@commands.command(epilog="Example: randstream numbers --seed 42 --worker worker-0 --offset 1000000 --count 5")
@_option(_PRODUCER["seed"])
@_option(_PRODUCER["seed_file"])
@_option(_PRODUCER["numbers"])
@click.option("--worker", required=True, metavar="NAME", help="Whose numbers.")
@click.option("--offset", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Of the first number.")
@click.option("--count", default=10, show_default=True, type=click.IntRange(0), help="How many numbers.")
def numbers(seed: str | None, seed_file: str | None, numbers: str | None, worker: str, offset: int, count: int) -> None:
    """Print exactly what a worker gets, anywhere in its stream."""
    _check_known_answers()
    from .stream import NumberStream

    given = _read_given_seed(seed, seed_file)
    if given is None:
        raise SettingsError("no seed is given; give --seed or --seed-file")
    try:
        stream = NumberStream(given, check_name(worker), numbers or "integers:1:100")
    except ValueError as error:
        raise SettingsError(f"--worker {worker}: {error}") from None
    if offset + count > 2**63 - 1:
        raise SettingsError(f"a stream has the numbers 0 to 2^63 - 2; offset {offset} and count {count} go past its end")
    out = sys.stdout.buffer
    for first in range(offset, offset + count, RUN_NUMBERS):
        out.write(stream.lines(first, min(RUN_NUMBERS, offset + count - first)))
    out.flush()


@commands.command(epilog="Example: randstream verify /data --seed-file seed.txt")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@_option(_PRODUCER["seed"])
@_option(_PRODUCER["seed_file"])
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(paths: tuple[str, ...], seed: str | None, seed_file: str | None, as_json: bool) -> int:
    """Check stores: every beat's offset and checksum, and with the seed every number.

    PATH is a store, one stream's folder in it, or one segment. Exit status 1: damage was found.
    """
    _check_known_answers()
    from .verify_command import run_verify

    return run_verify(paths, _read_given_seed(seed, seed_file), as_json=as_json)


@commands.command(epilog="Example: randstream cat /data/worker-0-6ae2a63a0ac05109 --offset 1000 --count 5")
@click.argument("path")
@click.option("--offset", default=None, type=click.IntRange(0), help="Of the first number. Default: the oldest kept.")
@click.option("--count", default=None, type=click.IntRange(0), help="The most numbers to print. Default: all.")
def cat(path: str, offset: int | None, count: int | None) -> None:
    """Print stored numbers, one a line."""
    from .store import read_runs

    out = sys.stdout.buffer
    try:
        for run in read_runs(path, offset=offset, count=count):
            out.write(run.lines)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror or error}") from None
    out.flush()


def _read_given_seed(seed: str | None, seed_file: str | None) -> str | None:
    try:
        return read_seed(check_seed(seed), seed_file)
    except ValueError as error:
        raise SettingsError(f"--seed: {error}") from None


def _check_known_answers() -> None:
    from .stream import check_known_answers

    check_known_answers()


@contextmanager
def _prepared(settings: CommonSettings) -> Iterator[None]:
    """Logs are set up and the arithmetic is checked; what fails before the service starts is one line."""
    _check_known_answers()
    from .observe.logs import flush_logs, set_up_logs

    set_up_logs(settings.log_level)
    try:
        yield
    finally:
        flush_logs()
