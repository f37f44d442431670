"""A terminal, or a pipe whose reader has left."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
from typing import TextIO

import click
import pytest
from rich.console import Console
from rich.progress import BarColumn, TextColumn

from randstream.cli.console import PIPE_COLUMNS, open_console, shown_progress


def test_a_pipe_has_a_width_of_its_own() -> None:
    assert open_console(io.StringIO()).width == PIPE_COLUMNS


def test_whose_reader_has_left_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as file:
        console = open_console(file)
        console.print("one")
        console.print("two")
        assert console.quiet


@pytest.mark.parametrize(
    ("is_terminal", "kind", "can"), [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)]
)
def test_only_a_terminal_whose_cursor_moves_is_redrawn(
    is_terminal: bool, kind: str, can: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    monkeypatch.setattr(file, "isatty", lambda: is_terminal)
    monkeypatch.setenv("TERM", kind)
    assert open_console(file).can_redraw is can


def pretend_terminal(monkeypatch: pytest.MonkeyPatch, *streams: TextIO) -> None:
    for stream in streams:
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def show_progress() -> None:
    with shown_progress(BarColumn()) as update:
        update(advance=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_whenever_it_draws_does_not_keep_the_cursor(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = []
    leave_buffer = Console._exit_buffer

    def send_and_leave(console: Console) -> None:  # rich does not recover from an exception here
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(number)
            sent.append(number)
        leave_buffer(console)

    pretend_terminal(monkeypatch, sys.stderr)
    monkeypatch.setattr(Console, "_exit_buffer", send_and_leave)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        show_progress()
    _, err = capsys.readouterr()
    assert len(sent) > 2  # also after the one that ended it
    assert err.rindex("\x1b[?25h") > err.rindex("\x1b[?25l")


def test_a_line_is_written_above_the_progress(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch, sys.stdout, sys.stderr)
    with shown_progress(TextColumn("at work")):
        click.echo("one thing", file=sys.stdout)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"at work\r\x1b\[2Kone thing *\nat work", err)


def test_a_line_that_goes_elsewhere_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend_terminal(monkeypatch, sys.stderr)
    with shown_progress(TextColumn("at work")):
        click.echo("one thing", file=sys.stdout)
    out, err = capsys.readouterr()
    assert out == "one thing\n"
    assert "one thing" not in err
