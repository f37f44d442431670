"""A terminal, or a pipe whose reader has left."""

from __future__ import annotations

import io
import os

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
