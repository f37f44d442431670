"""The command line: reads arguments and the environment, prints, chooses exit codes."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line as this process, and exit."""
    end_at_once_on_signals()  # before the slow imports
    from .entry import main as run_and_exit

    run_and_exit()


def end_at_once_on_signals() -> None:
    """Let Ctrl-C and SIGTERM end the process without a traceback: there is nothing to undo.

    A handler, because the kernel does not apply a signal's default action to process 1, which we are in a container:
    a pod deleted while it starts would wait for its SIGKILL.
    """
    signal.signal(signal.SIGTERM, _end_at_once)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as it is in the background of a script
        signal.signal(signal.SIGINT, _end_at_once)


def _end_at_once(number: int, _: object) -> None:
    os._exit(128 + number)
