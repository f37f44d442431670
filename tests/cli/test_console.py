"""A terminal, or a pipe whose reader has left."""

from __future__ import annotations

import io
import os

import pytest

from randstream.cli.console import PIPE_COLUMNS, open_console


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
