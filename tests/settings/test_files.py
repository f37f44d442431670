"""Files: the text of files that settings name, and of standard input."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from tests.settings.makers import inputs, refusal

from randstream.settings.files import read_text


def test_a_file_is_utf_8_whatever_the_locale_and_its_line_ends_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("säed\r\n".encode())
    assert read_text(str(path)) == "säed\r\n"


def test_a_dash_is_standard_input_in_utf_8_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("säed\n".encode()), encoding="ascii"))
    assert read_text("-") == "säed\n"


def test_standard_input_that_is_no_text_or_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    with pytest.raises(ValueError, match=r"^standard input is not UTF-8 text; give a text file$"):
        read_text("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match=r"^standard input is closed; give a file$"):
        read_text("-")


@pytest.mark.parametrize(
    ("path", "why"),
    [("", "give the path of a file"), ("/nope", "No such file"), ("/", "Is a directory"), ("bad", "not UTF-8")],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_flag(
    path: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad").write_bytes(b"\xff\xfe")
    message = refusal(inputs, seed_file=path)
    assert message.startswith("--seed-file")
    assert why in message


def test_an_error_repeats_only_the_beginning_of_a_long_path() -> None:
    with pytest.raises(ValueError, match="cannot read") as caught:
        read_text("/nope/" + "x" * 4000)
    assert len(str(caught.value)) < 200
