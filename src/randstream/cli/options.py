"""Options: settings as flags and as variables. Apart from shell completion, the only reader of the environment.

Checks no values: the settings do that when they are made.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from ..errors import SettingsError
from ..protocol import MAX_OFFSET
from ..settings import ProducerSettings, WorkerSettings, settings_of
from ..settings.checks import DURATIONS, check_seconds, read_count
from ..settings.definition import REQUIRED, Setting, UnusableSetting
from .completion import FILE, type_of

ROLE_VARIABLE: Final = "RANDSTREAM_ROLE"
HELP_NAMES: Final = ("-h", "--help")
VERSION_NAMES: Final = ("-V", "--version")
_FOLLOWS: Final = "randstream.follows"
"""In a context: whether something follows `--`."""
_NOT_GIVEN: Final = (None, False, ())
"""What click passes for an absent option, switch or list of arguments."""

PRODUCER: Final = settings_of(ProducerSettings)
WORKER: Final = settings_of(WorkerSettings)
_ROLE_FLAGS: Final = [known.label for known in (PRODUCER | WORKER).values()]


def with_role(arguments: list[str]) -> list[str]:
    """`arguments`, preceded by the role that the environment names if they give no command. Raises SettingsError."""
    if arguments and (not arguments[0].startswith("-") or arguments[0] in (*HELP_NAMES, *VERSION_NAMES)):
        return arguments
    role = os.environ.get(ROLE_VARIABLE)
    if not role:
        first = arguments[0].partition("=")[0] if arguments else ""
        if first and first not in _ROLE_FLAGS:
            return arguments  # click knows what is near
        before = f" before {first}" if first else ""
        advice = f"see: randstream --help (or set {ROLE_VARIABLE}=producer or worker)"
        raise SettingsError(f"no command is given{before}; {advice}")
    if role not in ("producer", "worker"):
        raise SettingsError(f"{ROLE_VARIABLE}={role}: give producer or worker")
    return [role, *arguments]


@contextmanager
def read_given(settings: dict[str, Setting], flags: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The values given for `settings`, by name and unchecked: by flags, else by variables.

    An empty variable counts as not set, unless it is a secret's. A flag overrides the variables of its whole choice:
    --discard, those of a store and a command. If a value turns out unusable within the block, the error names it as it
    was given: `--rate abc` or `RANDSTREAM_RATE=abc`. Raises SettingsError for that, and for an unknown variable.
    """
    _refuse_unknown_variables()
    values = {name: flags[name] for name in settings if flags[name] not in _NOT_GIVEN}
    made = {settings[name].choice for name in values} - {""}
    variables = set()
    for name, known in settings.items():
        text = os.environ.get(known.variable)
        is_given = bool(text) or (known.is_secret and text is not None)
        if is_given and name not in values and known.choice not in made:
            values[name] = text
            variables.add(known.variable)
    try:
        yield values
    except UnusableSetting as error:
        raise SettingsError(error.variable_message if error.variable in variables else str(error)) from None


def forget_variables() -> None:
    """Keep this process's `RANDSTREAM_` variables from its children, which get their settings as flags."""
    for known in (PRODUCER | WORKER).values():
        os.environ.pop(known.variable, None)


def _refuse_unknown_variables() -> None:
    known = [ROLE_VARIABLE, *(each.variable for each in (PRODUCER | WORKER).values())]
    for variable in os.environ:
        if not variable.startswith("RANDSTREAM_") or variable in known:
            continue
        if "_SERVICE_" in variable or "_PORT" in variable:
            advice = "Kubernetes sets it for a Service: set enableServiceLinks: false in the pod"
        else:
            stems = [each.removeprefix("RANDSTREAM_") for each in known]
            near = difflib.get_close_matches(variable.removeprefix("RANDSTREAM_"), stems, n=1)
            advice = f"did you mean RANDSTREAM_{near[0]}?" if near else "unset it; --help lists them all"
        raise SettingsError(f"{variable} is not a setting; {advice}")


class WholeNumber(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """A whole number from 0 to 2^63 - 1, such as 1000, 10_000 or 1e6; with `or_all` also `all`, as None."""

    name = "whole number"

    def __init__(self, *, or_all: bool = False) -> None:
        self._or_all = or_all

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        text = str(value).strip()
        if self._or_all and text == "all":
            return None
        number = read_count(text)
        if number is None or number > MAX_OFFSET:
            choice = ", or all" if self._or_all else ""
            self.fail(
                f"{value!r}: give a whole number from 0 to 2^63 - 1, such as 10000, 10_000 or 1e4{choice}", param, ctx
            )
        return number

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem("all")] if self._or_all and "all".startswith(incomplete) else []


class Seconds(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """A duration of `least` seconds or more: 2, 0.5s, 500ms, 3m or 1h."""

    name = "seconds"

    def __init__(self, least: float = 0.0) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = check_seconds(value)
        except ValueError:
            seconds = -1.0
        if seconds < self._least:
            self.fail(f"{value!r}: give seconds, {self._least:g} or more, {DURATIONS}", param, ctx)
        return seconds


class WithProgram(click.Command):
    """Takes what follows `--` as `command`, and no other arguments, so a typing error is not run as a program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[_FOLLOWS] = end < len(args)
        if args[end:] == ["--"] and not ctx.resilient_parsing:  # such as `-- $PROGRAM` with an empty variable
            ctx.fail("no COMMAND follows --; give one, or leave -- out")
        ctx.params["command"] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Files in what follows `--`."""
        if ctx.meta[_FOLLOWS]:
            return FILE.shell_complete(ctx, self.params[0], incomplete)
        return super().shell_complete(ctx, incomplete)


def options(settings: dict[str, Setting], *, with_default: bool = True) -> Callable[[Any], Any]:
    """Give a click command an option for each of `settings`; its help states the default and the variable."""

    def decorate(command: Any) -> Any:
        for name, known in reversed(settings.items()):
            if known.is_argument:
                continue
            help_text = f"{known.help}{_default(known, with_default)} [{known.variable}]"
            command = click.option(
                f"--{known.flag}", name, type=None if known.is_switch else type_of(known), is_flag=known.is_switch,
                multiple=known.is_list, default=None, help=help_text,
            )(command)  # fmt: skip
        return command

    return decorate


def _default(known: Setting, with_default: bool) -> str:
    if known.default_text == REQUIRED:
        return " Required."
    return f" Default: {known.default_text}." if with_default and not known.is_switch else ""
