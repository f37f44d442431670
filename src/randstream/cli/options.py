"""Options: settings as flags and as variables. Beside shell completion, the only reader of the environment."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from typing import Any, Final

import click

from ..errors import SettingsError
from ..settings.definition import REQUIRED, Setting, refuse_rivals
from ..settings.roles import ProducerSettings, WorkerSettings, settings_of

ROLE_VARIABLE: Final = "RANDSTREAM_ROLE"
HELP_NAMES: Final = ("-h", "--help")
_NOT_GIVEN: Final = (None, False, ())
"""What click makes of an option, a switch and arguments that are not there."""

PRODUCER: Final = settings_of(ProducerSettings)
WORKER: Final = settings_of(WorkerSettings)


def with_role(arguments: list[str]) -> list[str]:
    """Put the role that the environment names in front, unless a command is given."""
    if arguments and (not arguments[0].startswith("-") or arguments[0] in (*HELP_NAMES, "--version")):
        return arguments
    role = os.environ.get(ROLE_VARIABLE)
    if not role:
        if not arguments:
            raise SettingsError(
                f"no command is given; see: randstream --help (or set {ROLE_VARIABLE}=producer or worker)"
            )
        return arguments
    if role not in ("producer", "worker"):
        raise SettingsError(f"{ROLE_VARIABLE}={role}: give producer or worker")
    return [role, *arguments]


def read_given(settings: dict[str, Setting], flags: dict[str, Any]) -> dict[str, Any]:
    """The values given for `settings`: by flags, else by variables. An empty variable, but for a secret, gives nothing.

    A flag sets aside the variables of the whole choice that it makes: --discard those of a store and a command.
    """
    _refuse_unknown_variables()
    values = {
        name: known.read(flags[name], known.label) for name, known in settings.items() if flags[name] not in _NOT_GIVEN
    }
    made = {settings[name].choice for name in values}
    for name, known in settings.items():
        text = os.environ.get(known.variable)
        is_given = bool(text) or (known.is_secret and text is not None)
        if is_given and name not in values and not (known.choice and known.choice in made):
            values[name] = known.read(text, known.variable)
    refuse_rivals(settings, values)
    return values


def _refuse_unknown_variables() -> None:
    known = [ROLE_VARIABLE, *(each.variable for each in (PRODUCER | WORKER).values())]
    for variable in os.environ:
        if not variable.startswith("RANDSTREAM_") or variable in known:
            continue
        if "_SERVICE_" in variable or "_PORT" in variable:
            advice = "Kubernetes makes it of a Service: set enableServiceLinks: false in the pod"
        else:
            stems = [each.removeprefix("RANDSTREAM_") for each in known]
            near = difflib.get_close_matches(variable.removeprefix("RANDSTREAM_"), stems, n=1)
            advice = f"did you mean RANDSTREAM_{near[0]}?" if near else "unset it; --help tells those there are"
        raise SettingsError(f"{variable} is no setting; {advice}")


class WithProgram(click.Command):
    """Takes what follows `--` as `command`, and no other arguments: a slip of the pen is not run as a program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        ctx.params["command"] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


def options(settings: dict[str, Setting], *, with_default: bool = True) -> Callable[[Any], Any]:
    """Give a click command an option for each of `settings`, whose help tells its default and its variable."""

    def decorate(command: Any) -> Any:
        for name, known in reversed(settings.items()):
            if not known.is_argument:
                command = _option(name, known, with_default)(command)
        return command

    return decorate


def _option(name: str, known: Setting, with_default: bool) -> Callable[[Any], Any]:
    text = known.help if known.help.endswith(".") else f"{known.help}."
    if known.default_text == REQUIRED:
        text += " Required."
    elif with_default and not known.is_switch:
        text += f" Default: {known.default_text}."
    return click.option(
        f"--{known.flag}",
        name,
        metavar=known.metavar or None,
        is_flag=known.is_switch,
        multiple=known.is_list,
        default=None,
        help=f"{text} [{known.variable}]",
    )
