"""What a person sees of a check, on terminals and pipes of every kind."""

from __future__ import annotations

import errno
import io
import re
from dataclasses import replace

import pytest
from tests.cli.check.test_report import BROKEN, UNREACHED, WELL, report

from randstream.cli.check.report import Command, LinkResult
from randstream.cli.check.view import MOST_ROWS, View


class Terminal(io.StringIO):
    """A terminal that shows what it is sent."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """What cannot be written to."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for variable in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    return Terminal()


def shown(file: io.StringIO, *links: LinkResult, is_live: bool = True, more: int = 0) -> str:
    view = View(file, is_live=is_live)
    with view.running():
        view.tell(1.0, "worker-0 reached")
        view.update(2.0, "for 60 s", links, more)
        return file.getvalue()


def test_a_terminal_has_a_table_and_the_last_stories(terminal: Terminal) -> None:
    text = shown(terminal, WELL, BROKEN)
    assert "randstream check, 2 s; for 60 s" in text
    for part in ("acknowledged", "worker-0", "worker-1", "2.5 s", "flows", "worker-0 reached"):
        assert part in text


def test_a_pipe_has_plain_lines_and_no_table() -> None:
    text = shown(io.StringIO(), WELL)
    assert text == "    1.0 s  worker-0 reached\n"


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "TTY_COMPATIBLE"])
def test_a_pipe_is_none_even_where_colours_are_wanted(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    assert shown(io.StringIO(), WELL) == "    1.0 s  worker-0 reached\n"


def test_a_terminal_that_cannot_move_its_cursor_has_plain_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert shown(terminal, WELL) == "    1.0 s  worker-0 reached\n"


def test_with_a_program_the_terminal_is_the_programs(terminal: Terminal) -> None:
    assert shown(terminal, WELL, is_live=False) == "    1.0 s  worker-0 reached\n"


def test_no_colour_is_heeded(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    view = View(terminal, is_live=True)
    view.summarize(report(BROKEN))
    assert "FAILED" in terminal.getvalue()
    assert "\x1b[31m" not in terminal.getvalue()
    assert "\x1b[1;31m" not in terminal.getvalue()


@pytest.mark.parametrize("columns", [20, 40, 79])
def test_a_narrow_terminal_is_not_overrun(columns: int, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    text = shown(terminal, replace(WELL, worker="w" * 100), UNREACHED)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert max(map(len, re.split(r"[\r\n]+", plain))) <= columns


def test_a_thousand_links_fit_the_screen_and_the_summary_is_bounded(terminal: Terminal) -> None:
    links = [replace(WELL, worker=f"worker-{n}") for n in range(1000)]
    text = shown(terminal, *links[:MOST_ROWS], more=980)
    assert text.count("worker-") == MOST_ROWS + 1
    assert "and 980 more" in text
    out = io.StringIO()
    View(out, is_live=True).summarize(report(*links, BROKEN))
    lines = out.getvalue().splitlines()
    assert lines[0] == "--- worker-1 at b:9000"  # who was interrupted comes first
    assert lines[-2] == "--- and 981 more: 0 in trouble, 0 interrupted for no longer than these"
    assert len(lines) < 5 * MOST_ROWS


def test_the_summary_is_that_of_the_documentation() -> None:
    out = io.StringIO()
    View(out, is_live=True).summarize(report(BROKEN, command=Command(("kubectl", "rollout"), 3, 4.2)))
    assert out.getvalue().splitlines() == [
        "--- worker-1 at b:9000",
        "100 numbers sent, 100 acknowledged: each once, in order, unchanged",
        "round trip min / median / p99 / max = 1.0 ms / 2.0 ms / 4.0 ms / 5.0 ms",
        "1 interruption, longest 2.50 s, 2.50 s in all: 1 × cut",
        "--- kubectl rollout: exit status 3 after 4.2 s",
        "FAILED: 1 of 1 link outside the limits: worker-1: an interruption of 2.50 s (at most 2 s)",
    ]


def test_who_was_never_reached_has_no_figures() -> None:
    out = io.StringIO()
    View(out, is_live=True).summarize(report(UNREACHED))
    assert out.getvalue().splitlines()[:2] == ["--- c:9000", "not reached: refused"]
    assert "numbers" not in out.getvalue()
    assert "no interruption" not in out.getvalue()


def test_a_check_that_stood_still_itself_says_so() -> None:
    out = io.StringIO()
    View(out, is_live=True).summarize(replace(report(WELL), pause=0.4))
    assert "--- the check itself stood still for up to 0.40 s: silences may be its own" in out.getvalue()
    out = io.StringIO()
    View(out, is_live=True).summarize(replace(report(WELL), pause=0.1))
    assert "stood still" not in out.getvalue()


def test_a_peers_name_moves_no_cursor(terminal: Terminal) -> None:
    view = View(terminal, is_live=False)
    view.tell(1.0, "\x1b[2Jevil")
    view.summarize(report(replace(UNREACHED, target="\x1b[2Jevil", problem="\x1b[2J")))
    assert "\x1b[2J" not in terminal.getvalue()


def test_a_full_disk_silences_the_view_and_is_told_at_the_end() -> None:
    view = View(Broken(OSError(errno.ENOSPC, "No space left on device")), is_live=True)
    with view.running():
        view.tell(1.0, "worker-0 reached")
        view.update(1.0, "", [WELL], 0)
    view.summarize(report(WELL))
    assert view.problem is not None
    assert view.problem.errno == errno.ENOSPC


def test_a_terminal_that_is_gone_silences_the_view(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Broken(OSError(errno.EIO, "Input/output error"))
    monkeypatch.setattr(file, "isatty", lambda: True)
    view = View(file, is_live=True)
    with view.running():
        view.update(1.0, "", [WELL], 0)
    assert view.problem is not None
