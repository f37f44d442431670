"""Completion: what a shell offers for a value or a path. How each shell asks for it is click's affair."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

from ..settings.definition import Setting


class Words(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """Text that is usually one of `words()`. Its name is the placeholder in help."""

    def __init__(self, name: str, words: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self._words = words

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(word) for word in self._words() if word.startswith(incomplete)]


class Paths(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """Paths, which shells complete themselves. `kind`: `file`, which includes folders, or `dir`."""

    def __init__(self, name: str, kind: str = "file") -> None:
        self.name = name
        self._kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type=self._kind)]


FILE: Final = Paths("file")
FOLDER: Final = Paths("folder", "dir")


def type_of(known: Setting) -> click.ParamType:  # type: ignore[type-arg]  # generic in new versions of click only
    """How a shell completes the value of a setting. It checks nothing."""
    by_metavar = {"FILE": FILE, "FOLDER": FOLDER}
    return by_metavar.get(known.metavar) or Words(known.metavar, lambda: known.examples)


@add_completion_class
class Bash(BashComplete):
    """Understands `--option=value`, which bash passes on as three words, and completes only the last."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words, begun = super().get_completion_args()
        return words[:-1] if words[-1:] == ["="] else words, begun


class _WholeWords(ShellComplete):
    """Offers `--option=value` whole, as its shell passes it on."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        option, equals, _ = incomplete.partition("=")
        offered = super().get_completions(args, incomplete)
        if equals and option.startswith("-"):
            for item in offered:
                item.value = f"{option}={item.value}" if item.type == "plain" else item.value
        return offered


@add_completion_class
class Zsh(_WholeWords, ZshComplete):
    """As click has it, but for `--option=value`."""


@add_completion_class
class Fish(_WholeWords, FishComplete):
    """As click has it, but for `--option=value`."""
