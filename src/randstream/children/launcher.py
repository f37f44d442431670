"""Launcher: becomes another program, which inherits only descriptors 0, 1 and 2, and is killed when its parent dies.

A script with a Python of its own: between a fork and an exec, this would race with other threads.
"""

from __future__ import annotations

import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Linux: the signal that a process gets when the thread that forked it ends. An exec keeps it."""
STANDARD = (0, 1, 2)


def main() -> None:
    """`launcher.py REPORT PARENT COMMAND...`: writes to descriptor REPORT what keeps the command from running."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # without a traceback; hence few imports before
    report, parent, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has died before
            os._exit(1)
    os.set_inheritable(report, False)
    for fd in _open_descriptors():
        if fd not in (*STANDARD, report):
            _close(fd)
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - as its user named it
    except OSError as error:
        os.write(report, str(error.errno).encode())
        os._exit(1)


def _close(fd: int) -> None:
    try:  # noqa: SIM105 - contextlib takes as long to import as all the rest
        os.close(fd)
    except OSError:  # it belonged to the listing of the folder
        pass


def _open_descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - pathlib takes 10 ms to import
    except OSError:  # there is no such folder: all that may be open
        return list(range(os.sysconf("SC_OPEN_MAX")))


if __name__ == "__main__":
    main()
