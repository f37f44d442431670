"""Entry: runs the command line as a process, and is the one place that chooses exit codes.

0: done. 1: something failed, or is damaged. 2: the input cannot be used, and one line says why. 130: Ctrl-C.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import Final

import click

from ..errors import NotStoredError, RandstreamError, SinkError
from . import end_at_once_on_signals
from .commands import commands
from .options import with_role
from .words import approximate

COMPLETION_VARIABLE: Final = "_RANDSTREAM_COMPLETE"


def main() -> None:
    """Run the command line and exit."""
    _fill_standard_descriptors()
    _approximate_output()
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
        return _complain(f"{message}; see: {error.ctx.command_path} --help" if error.ctx else message)
    except RandstreamError as error:
        is_failure = isinstance(error, SinkError | NotStoredError)  # a full disk, damage, a number that is not there
        return _complain(str(error), status=1 if is_failure else 2)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:  # the reader, such as `| head`, has left
        _forget_output()
        return 0
    except OSError as error:  # from writing: read errors are handled where we read
        _forget_output()
        return _complain(f"cannot write to standard output: {error.strerror}; send it where there is room", status=1)


def _run(arguments: list[str]) -> int:
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(commands, {}, "randstream", COMPLETION_VARIABLE, instruction)
    # Not `commands.main`, which exits with 1 on a broken pipe.
    with commands.make_context("randstream", with_role(arguments)) as context:
        status: int | None = commands.invoke(context)
    return status or 0


def _complain(message: str, status: int = 2) -> int:
    line = "".join(each if each.isprintable() else " " for each in message)
    with suppress(OSError):
        click.echo(f"randstream: {line}", err=True)
    return status


def _fill_standard_descriptors() -> None:
    """Open /dev/null in place of those that are closed.

    Otherwise a socket would get standard error's number, and with it the logs; and libuv would abort.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: `fd`


def _approximate_output() -> None:
    """Do not fail when the locale's encoding, such as ISO-8859-1 or C's, lacks what we print."""
    codecs.register_error("approximate", approximate)
    for file in (sys.stdout, sys.stderr):
        if isinstance(file, io.TextIOWrapper):
            file.reconfigure(errors="approximate")


def _forget_output() -> None:
    """Discard what is still buffered: Python would try again to write it at exit, and complain."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
