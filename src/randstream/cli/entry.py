"""Entry: runs the command line as a process, and is the one place that chooses exit codes.

0: done. 1: something failed, or is damaged. 2: the input cannot be used, and one line says why. 130: Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final

import click
from click.shell_completion import shell_complete

from ..errors import NotStoredError, RandstreamError, SinkError, shortage_of
from . import end_at_once_on_signals
from .commands import commands
from .options import with_role
from .standard import OutputError, forget_output, remedy, set_up_standard_streams, wants_colours

COMPLETION_VARIABLE: Final = "_RANDSTREAM_COMPLETE"


def main() -> None:
    """Run the command line and exit."""
    set_up_standard_streams()
    try:
        sys.exit(run(sys.argv[1:]))
    finally:
        end_at_once_on_signals()  # Python reports a Ctrl-C that comes in its own end


def run(arguments: list[str]) -> int:
    """Run the command that `arguments` name, or the role that the environment names; return the exit status."""
    try:
        return _run(arguments)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        joint = " See" if message.endswith(("?", "?)")) else "; see"
        return _complain(f"{message}{joint}: {error.ctx.command_path} --help" if error.ctx else message)
    except RandstreamError as error:
        is_failure = isinstance(error, SinkError | NotStoredError)  # a full disk, damage, a number that is not there
        return _complain(str(error), status=1 if is_failure else 2)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader, such as `| head`, has left
        forget_output()
        return 0
    except OutputError as error:
        forget_output()
        return _complain(f"cannot write to standard output: {error.strerror}; {remedy(error)}", status=1)
    except OSError as error:  # whatever it is about, it is not standard output
        where = f"{error.filename}: " if error.filename else ""
        return _complain(shortage_of(error) or f"{where}{error.strerror or error}", status=1)


def _run(arguments: list[str]) -> int:
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        return shell_complete(commands, {}, "randstream", COMPLETION_VARIABLE, instruction)
    # Not `commands.main`, which exits with 1 on a broken pipe.
    color = None if wants_colours() else False  # None: on a terminal
    with commands.make_context("randstream", with_role(arguments), color=color) as context:
        status: int | None = commands.invoke(context)
    return status or 0


def _complain(message: str, status: int = 2) -> int:
    line = "".join(each if each.isprintable() else " " for each in message)
    with suppress(OSError):
        click.echo(f"randstream: {line}", err=True)
    return status
