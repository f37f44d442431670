"""Completion, in the shells themselves where they are installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from randstream.numbers.distributions import parse_distribution
from randstream.settings.roles import DISTRIBUTIONS

WORDS: Final = {
    "pro": "producer",
    "conform ": "producer worker",
    "help co": "conform",
    "worker --lo": "--log-level --loop",
    "worker --log-level w": "warning",
    "worker --loop ": "uvloop asyncio",
    "producer --rate ": "max",
    "producer --numbers n": "normal:0:1",
    "numbers --format ": "text csv raw npy",
    "numbers --count ": "all",
    "cat x --count a": "all",
    "conform worker --only open-n": "open-names-the-worker",
}
"""What is offered for a line that begins so, without `randstream`."""
PATHS: Final = {
    "worker --store ": "dir",
    "worker --tls-cert ": "file",
    "numbers --output ": "file",
    "top --ca ": "file",
    "cat ": "file",
    "verify x ": "file",
    "worker -- ": "file",
    "check --workers a -- ./change --n": "file",
}
BASH: Final = """
eval "$(_RANDSTREAM_COMPLETE=bash_source randstream)"
compopt() { COMPREPLY+=("$2"); }
while read -r line; do
    eval "COMP_WORDS=($line)"
    COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )) COMPREPLY=()
    _randstream_completion randstream
    echo "${COMPREPLY[@]}"
done
"""
ZSH: Final = """
compdef() { }
_describe() { print -r -- ${(P)4%%:*} }
compadd() { print -r -- $completions }
_path_files() { print -r -- $1 }
eval "$(_RANDSTREAM_COMPLETE=zsh_source randstream)"
while read -r line; do
    eval "words=($line)"
    CURRENT=${#words}
    _randstream_completion
done
"""
FISH: Final = """
_RANDSTREAM_COMPLETE=fish_source randstream | source
while read line
    echo (complete -C $line | string split -f 1 \\t)
end
"""


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"there is no {shell}")


def offered(shell: str, script: str, lines: list[str]) -> list[str]:
    """What the shell offers for each of `lines`."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [shell, "-c", script], input="".join(f"{line}\n" for line in lines), env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.splitlines()


def as_words(line: str) -> str:
    """The words of a line as a shell's own text, the last of them perhaps empty."""
    return shlex.join(["randstream", *line.split(" ")])


@needs("bash")
def test_bash_completes_words_values_and_paths() -> None:
    lines = {**WORDS, "worker --log-level = w": "warning"}
    assert offered("bash", BASH, [as_words(line) for line in lines]) == list(lines.values())
    readline = {"dir": "dirnames", "file": "default"}
    assert offered("bash", BASH, [as_words(line) for line in PATHS]) == [readline[kind] for kind in PATHS.values()]


@needs("zsh")
def test_zsh_completes_words_values_and_paths() -> None:
    lines = {"worker --log-level w": "warning", "worker --log-level=w": "--log-level=warning", "cat ": "-f"}
    assert offered("zsh", ZSH, [as_words(line) for line in lines]) == list(lines.values())


@needs("fish")
def test_fish_completes_words_values_and_paths(tmp_path: Path) -> None:
    (tmp_path / "numbers").touch()
    lines = {
        "pro": "producer",
        "worker --log-level w": "warning",
        "worker --log-level=w": "--log-level=warning",
        f"cat {tmp_path}/num": f"{tmp_path}/numbers",
    }
    assert offered("fish", FISH, [f"randstream {line}" for line in lines]) == list(lines.values())


def test_every_distribution_that_is_offered_is_one() -> None:
    kinds = {type(parse_distribution(text)) for text in DISTRIBUTIONS}
    assert len(kinds) == len(DISTRIBUTIONS)
