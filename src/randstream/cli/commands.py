"""The commands, each with its options and its help. `entry` runs them.

Slow imports go inside the command that needs them, to keep `--help` quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import SystemRandom
from socket import gethostname
from typing import Any, Final

import click

from .. import __version__
from ..errors import SettingsError
from ..numbers.seed import parse_seed
from ..settings import Address, CommonSettings, ProducerSettings, WorkerSettings
from ..settings.addresses import check_address
from ..settings.definition import Setting, check_values
from ..settings.roles import read_seed
from .completion import FILE, Words
from .endings import orderly_end
from .options import (
    HELP_NAMES,
    PRODUCER,
    ROLE_VARIABLE,
    VERSION_NAMES,
    WORKER,
    Seconds,
    WholeNumber,
    WithProgram,
    forget_variables,
    options,
    read_given,
)
from .output import output_options, require_output, write_numbers
from .standard import wants_colours
from .top.rows import SORTS

_SEED: Final = {name: PRODUCER[name] for name in ("seed", "seed_file")}
CHECK_HEARTBEAT: Final = "0.1"
CHECK_LOGS: Final = "error"
CHECK_NAME: Final = "check-"
"""Followed by the host's name: a worker's log, and a producer that waits behind it, then show what it is."""
CHECK: Final = {
    **{name: PRODUCER[name] for name in ("workers", "rate")},
    "heartbeat_interval": replace(PRODUCER["heartbeat_interval"], default_text=CHECK_HEARTBEAT),
    "numbers": PRODUCER["numbers"],
    "name": replace(PRODUCER["name"], default_text=f"{CHECK_NAME} and the host's name"),
    **{name: PRODUCER[name] for name in ("tls_cert", "tls_key", "tls_ca", "allow_worker", "loop")},
    "log_level": replace(PRODUCER["log_level"], default_text=CHECK_LOGS),
}
"""A check is a temporary producer. It draws its seed, so no other producer continues its stream."""
_NUMBERS: Final = {**_SEED, "numbers": PRODUCER["numbers"]}


class _InOrder(click.Group):
    """Lists its commands in order of definition: what a newcomer needs comes first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": list(HELP_NAMES), "max_content_width": 100},
    epilog="Every option of producer and worker is an environment variable too, such as RANDSTREAM_RATE for --rate;"
    f" flags win. With {ROLE_VARIABLE}=producer or worker, randstream alone runs that role.",
)
@click.version_option(__version__, *VERSION_NAMES, prog_name="randstream", message="%(prog)s %(version)s")
def commands() -> None:
    """An unbroken, reproducible stream of random numbers from one producer to every worker.

    \b
      randstream demo                                  see streams break and heal
      randstream worker                                receive numbers, in one terminal
      randstream producer --workers 127.0.0.1:9000     send numbers, in another
    """


@commands.command(short_help="Watch three streams break and heal.")
@click.option("--seconds", type=Seconds(2), metavar="SECONDS", help="How long to go on. Default: until Ctrl-C.")
def demo(seconds: float | None) -> int:
    """Watch three streams while a producer and a worker are killed and a connection is cut; then check every number.

    Exit status 0: every worker's numbers are exact. 130: stopped before there were any.
    """
    require_output()
    click.echo("Starts three workers and two producers on this machine; kills one of each and cuts a connection")
    click.echo("while numbers flow; then checks every number that arrived. Ctrl-C ends it early, with the same check.")
    from .demo import run_demo  # slow

    forget_variables()
    return run_demo(seconds)


@commands.command(
    short_help="Stream numbers to workers, for ever.",
    epilog="Example: randstream producer --workers a:9000,b:9000 --rate max --seed-file seed.txt",
)
@options(PRODUCER)
def producer(**flags: Any) -> int:
    """Stream numbers to workers, for ever. Workers that are down are dialled until they are back.

    SIGTERM or Ctrl-C ends it gracefully, with exit status 0; a second signal ends it at once, with 1.
    """
    with read_given(PRODUCER, flags) as given:
        settings = ProducerSettings(**given)
        inputs = settings.resolve(SystemRandom())
    with _prepared(settings):
        from ..producer.producer import Producer
        from .role import has_reader, run_role

        return run_role(lambda: Producer(settings, inputs, keeps_round_trips=has_reader()), settings)


@commands.command(
    cls=WithProgram,
    options_metavar="[OPTIONS] [-- COMMAND...]",
    short_help="Receive numbers: to stdout, a store or a command.",
    epilog="Example: randstream worker --listen 0.0.0.0:9000 --store /data"
    "\n\nExample: randstream worker -- ./simulate --fast",
)
@options(WORKER)
def worker(**flags: Any) -> int:
    """Receive one stream of numbers: to standard output, a store or a COMMAND's standard input, or to discard it.

    COMMAND is started again when it ends. [RANDSTREAM_COMMAND]

    SIGTERM or Ctrl-C ends it gracefully, with exit status 0; a second signal ends it at once, with 1.
    """
    with read_given(WORKER, flags) as given:
        settings = WorkerSettings(**given)
    if not (settings.store or settings.discard or settings.command):
        require_output()
    with _prepared(settings):
        from ..worker.worker import Worker
        from .role import run_role

        return run_role(lambda: Worker(settings), settings)


@commands.command(
    cls=WithProgram,
    options_metavar="[OPTIONS] [-- COMMAND...]",
    short_help="Find out whether long-lived connections survive.",
    epilog="Example: randstream check --workers a,b --seconds 60"
    "\n\nExample: randstream check --workers a,b -- kubectl -n kube-system rollout restart daemonset/cilium",
)
@options(CHECK)
@click.option(
    "--seconds", type=Seconds(), metavar="SECONDS", help="How long to check. Default: until Ctrl-C or COMMAND's end."
)
@click.option(
    "--max-interruption",
    type=Seconds(),
    default=2.0,
    metavar="SECONDS",
    help="Fail if one interruption of a stream is longer. Default: 2.",
)
@click.option(
    "--max-total",
    type=Seconds(),
    default=5.0,
    metavar="SECONDS",
    help="Fail if all interruptions of a stream together are longer. Default: 5.",
)
@click.option(
    "--settle",
    type=Seconds(),
    default=5.0,
    metavar="SECONDS",
    help="After COMMAND, continue until nothing was interrupted for this long, two minutes at most. Default: 5.",
)
@click.option("--report", type=FILE, help="Write all measurements to FILE, as JSON: see docs/check.md.")
@click.option("--junit", type=FILE, help="Write the outcome of each link to FILE, as JUnit XML.")
def check(
    command: tuple[str, ...], seconds: float | None, max_interruption: float, max_total: float, settle: float,
    report: str | None, junit: str | None, **flags: Any,
) -> int:  # fmt: skip
    """Hold a stream to each worker while the network changes: which were interrupted, when, for how long, and why?

    Ends after --seconds; with COMMAND, when that has ended and all is well again; or at Ctrl-C. It takes no worker
    from another producer: if one is already being served, the check ends at once.

    Exit status 0: every link is within the limits. 1: one is not, or was never reached. 2: nothing was checked.
    Any other: that of COMMAND, if the links are within the limits.
    """
    if command and seconds is not None:
        raise SettingsError("--seconds and -- COMMAND are both given; give one")
    if seconds == 0:
        raise SettingsError("--seconds 0: nothing can be seen in no time; give more")
    with read_given(CHECK, flags) as given:
        defaults = {
            "heartbeat_interval": CHECK_HEARTBEAT, "name": CHECK_NAME + gethostname(), "log_level": CHECK_LOGS,
        }  # fmt: skip
        settings = ProducerSettings(**{**defaults, **given})
    require_output()
    with _prepared(settings):
        from .check import run_check
        from .check.report import Limits

        limits = Limits(max_interruption, max_total)
        return run_check(settings, limits, seconds, command, settle, report, junit)


@commands.command(
    short_help="Print what a worker gets, from any offset.",
    epilog="Example: randstream numbers --seed 42 --worker worker-0 --offset 1e6 --count 5"
    "\n\nExample: randstream numbers --seed 42 --worker w --numbers bits64 --format raw --count all | RNG_test stdin64",
)
@options(_SEED, with_default=False)
@options({"numbers": PRODUCER["numbers"]})
@click.option("--worker", required=True, metavar="NAME", help="The worker whose numbers to print.")
@click.option("--offset", default=0, type=WholeNumber(), metavar="N", help="Offset of the first number. Default: 0.")
@click.option(
    "--count", default=10, type=WholeNumber(or_all=True), metavar="N", help="How many numbers, or all. Default: 10."
)
@output_options
def numbers(worker: str, offset: int, count: int | None, format_name: str, output: str | None, **flags: Any) -> None:
    """Print exactly what a worker gets, anywhere in its stream."""
    seed, values = _read_seed(_NUMBERS, flags)
    if seed is None:
        raise SettingsError("no seed is given; give --seed or --seed-file")
    from ..numbers.known_answers import check_known_answers
    from ..numbers.stream import NumberStream
    from .drawn import Drawn

    check_known_answers()
    stream = NumberStream(seed, worker, values.get("numbers", PRODUCER["numbers"].default_text))
    write_numbers(Drawn(stream, offset, count), format_name, output)


@commands.command(
    short_help="Check stores, and with the seed every number.",
    epilog="Example: randstream verify /data --seed-file seed.txt",
)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=FILE)
@options(_SEED, with_default=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(paths: tuple[str, ...], as_json: bool, **flags: Any) -> int:
    """Check stores: every beat's offset and checksum, and with the seed every number.

    PATH is a store, one stream's folder in it, or one segment. Nothing is changed. Exit status 1: a stream is damaged,
    or has another seed.
    """
    seed, _ = _read_seed(_SEED, flags)
    from ..numbers.known_answers import check_known_answers
    from .verify import run_verify

    check_known_answers()
    return run_verify(paths, seed, as_json=as_json)


@commands.command(
    short_help="Print stored numbers.",
    epilog="Example: randstream cat /data/worker-0-6ae2a63a0ac05109 --offset 1000 --count 5",
)
@click.argument("path", type=FILE)
@click.option("--offset", type=WholeNumber(), metavar="N", help="Offset of the first number. Default: the oldest kept.")
@click.option(
    "--count", type=WholeNumber(or_all=True), metavar="N", help="The most numbers to print, or all. Default: all."
)
@click.option("--stream", metavar="NAME", help="Which stream, if PATH holds several: its id, worker or folder.")
@click.option("--skip-damaged", is_flag=True, help="Continue after damage, and report which offsets are left out.")
@output_options
def cat(
    path: str, offset: int | None, count: int | None, stream: str | None, skip_damaged: bool, format_name: str,
    output: str | None,
) -> None:  # fmt: skip
    """Print stored numbers, up to the last one that is proven.

    PATH is one stream's folder in a store, a store, or one segment. Exit status 1: there is damage, and the numbers
    before it were printed; or the store does not hold the number at --offset.
    """
    from .stored import Stored

    source = Stored(path, offset, count, stream, skip_damaged=skip_damaged)
    if output is not None:
        source.require_apart(output)
    write_numbers(source, format_name, output)


@commands.command(
    short_help="Watch streams in the terminal.",
    epilog="Example: randstream top http://127.0.0.1:9001"
    "\n\nExample: randstream top srv://_admin._tcp.producer --sort lag"
    "\n\nExample: randstream top 127.0.0.1:9001 --once --json | jq .well",
)
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option("--filter", "name_filter", default="", metavar="TEXT", help="Only streams whose name contains this.")
@click.option(
    "--sort",
    type=click.Choice(list(SORTS)),
    default="trouble",
    help="Which streams come first: those in trouble, those with the largest figure, or by name. Default: trouble.",
)
@click.option("--once", is_flag=True, help="Print one table and exit; with --json, one object.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, once a second.")
@click.option("--token-file", type=FILE, help="File with the token of --admin-token-file; it is sent to every URL.")
@click.option("--ca", type=FILE, help="Certificates (PEM) to trust for https://. Default: the system's.")
def top(
    urls: tuple[str, ...], name_filter: str, sort: str, once: bool, as_json: bool, token_file: str | None,
    ca: str | None,
) -> int:  # fmt: skip
    """Watch the streams of producers and workers that run with --admin: the live page, in a terminal.

    Each URL is that of a live page, such as http://127.0.0.1:9001, 127.0.0.1:9001 or https://HOST:9001; or
    srv://NAME or dns://NAME:PORT, for all the processes that DNS names, as they come and go (over https if --ca is
    given). Several processes share one table: for each worker, which producer serves it and which stand by.

    \b
      q       quit                        s       sort by the next column
      /       filter by name              p       pause
      arrows, PgUp, PgDn, Home, End       ?       help
              scroll through all streams

    Without a terminal it prints one table.

    Exit status 0: done. With --once also 1: a process does not answer or is not ready, or a stream is not well.
    2: no process answers at all.
    """
    from .top.command import run_top

    require_output()
    with orderly_end():
        return run_top(
            urls, name_filter=name_filter, sort=sort, token_file=token_file, ca_file=ca, is_once=once, as_json=as_json
        )


@commands.group(short_help="Check another implementation against the wire's rules.")
def conform() -> None:
    """Check an implementation of the wire, rule by rule, as docs/conform.md describes.

    Exit status 0: all rules that could be played hold. 1: some do not. 2: nothing was there to check.
    """


def _rules() -> set[str]:
    from ..conform.suites import PRODUCER_CASES, WORKER_CASES  # slow

    return {rule for case in (*WORKER_CASES, *PRODUCER_CASES) for rule in case.rules}


RULE: Final = Words("rule", _rules)
_JUDGING: Final = (
    click.option("--only", multiple=True, type=RULE, help="Only the cases of this rule; may be repeated."),
    click.option("--junit", type=FILE, help="Write the outcomes to FILE, as JUnit XML."),
)


def _judging(seconds: int) -> Callable[[Any], Any]:
    """The options of both suites. `seconds`: how long a suite may take by default."""
    limit = click.option(
        "--seconds", type=Seconds(1), default=seconds, metavar="SECONDS",
        help=f"How long it may take; cases not played by then have failed. Default: {seconds}.",
    )  # fmt: skip

    def decorate(command: Any) -> Any:
        for option in (limit, *reversed(_JUDGING)):
            command = option(command)
        return command

    return decorate


@conform.command(
    "worker", short_help="Check the worker at HOST:PORT.", epilog="Example: randstream conform worker 127.0.0.1:9000"
)
@click.argument("address", metavar="HOST:PORT")
@_judging(180)
def conform_worker(address: str, only: tuple[str, ...], junit: str | None, seconds: float) -> int:
    """Check the worker at HOST:PORT. Keep what it receives apart: it gets streams that come from no seed."""
    from .conform import judge_worker

    return judge_worker(_read_address("", address), only, junit, seconds)


@conform.command(
    "producer",
    short_help="Check the producer that dials.",
    epilog="Example: randstream conform producer --listen 0.0.0.0:9000, while the producer dials a different address"
    " of this machine for each link: 127.0.0.1:9000, 127.0.0.2:9000, ...",
)
@click.option(
    "--listen", default="127.0.0.1:9000", metavar="HOST:PORT", help="Where to listen. Default: 127.0.0.1:9000."
)
@click.option("--seed", metavar="TEXT", help="The producer's seed, to compare every number too.")
@_judging(600)
def conform_producer(listen: str, seed: str | None, only: tuple[str, ...], junit: str | None, seconds: float) -> int:
    """Check the producer that dials HOST:PORT. Start it with a heartbeat of 0.3 s and a few hundred numbers a second.

    Each address that it dials is a separate link; with 16 links the suite takes half a minute, with one ten minutes.
    """
    from .conform import judge_producer

    text = None if seed is None else PRODUCER["seed"].apply(parse_seed, seed)
    return judge_producer(_read_address("--listen ", listen), only, junit, seconds, text)


@commands.command("help", short_help="Show the help of a command.")
@click.argument("names", metavar="[COMMAND]...", nargs=-1, type=Words("command", lambda: commands.commands))
def show_help(names: tuple[str, ...]) -> None:
    """Show the help of COMMAND, as COMMAND --help does, or of all."""
    with commands.make_context("randstream", [*names, "--help"]) as context:
        commands.invoke(context)


def _read_address(option: str, text: str) -> Address:
    try:
        return check_address(text)
    except ValueError as error:
        raise SettingsError(f"{option}{text}: {error}") from None


def _read_seed(settings: dict[str, Setting], flags: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The seed, if one is given, and all values that are given."""
    with read_given(settings, flags) as given:
        values = check_values(settings, given)
        return read_seed(values.get("seed"), values.get("seed_file")), values


@contextmanager
def _prepared(settings: CommonSettings) -> Iterator[None]:
    """Check the arithmetic and set up logs; flush them at the end."""
    from ..numbers.known_answers import check_known_answers
    from ..observe.logs import flush_logs, set_up_logs

    check_known_answers()
    set_up_logs(settings.log_level, has_colours=wants_colours())
    try:
        yield
    finally:
        flush_logs()
