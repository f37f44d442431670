"""Setting: one thing that can be set: a dataclass field that knows its flag, variable, check, default and help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ..errors import SettingsError
from .checks import shorten

REQUIRED: Final = "required"
"""The default's text of a setting that has none."""

Is = TypeVar("Is")
May = TypeVar("May")


class Given(Generic[Is, May]):
    """The type of a field that holds an `Is`, and may be given as a `May` too. Only type checkers look at it."""

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> Is: ...

        def __set__(self, instance: object, value: Is | May) -> None: ...


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting besides its value."""

    flag: str
    metavar: str
    """What stands for the value in help; empty: a switch, whose flag stands alone."""
    check: Callable[[Any], Any]
    """Turns a value or its text into the value. Raises ValueError, which says what to give."""
    help: str
    default_text: str
    is_secret: bool = False
    """Its value is never shown."""
    choice: str = ""
    """Of the settings that have this word in common, one at most can be given."""
    is_argument: bool = False
    """On the command line it is no option: it follows after `--`."""
    is_list: bool = False
    """It may be given several times, and each time have several values, separated by commas."""

    @property
    def label(self) -> str:
        """How it is given on the command line."""
        return f"-- {self.metavar}" if self.is_argument else f"--{self.flag}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "RANDSTREAM_" + self.flag.upper().replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """Whether the flag stands alone."""
        return not self.metavar

    def read(self, given: Any, source: str | None = None) -> Any:
        """The value that `given` means. Raises SettingsError, which blames `source`: its label, or its variable."""
        try:
            return self.check(given)
        except (ValueError, TypeError, SettingsError) as error:
            where = source or self.label
            if not self.is_secret and isinstance(given, str | int | float):
                where += ("=" if where == self.variable else " ") + shorten(str(given))
            raise SettingsError(f"{where}: {error}") from None


def setting(
    flag: str,
    metavar: str,
    check: Callable[[Any], Any],
    help_text: str,
    *,
    default: Any = MISSING,
    factory: Callable[[], Any] = MISSING,  # type: ignore[assignment]  # what dataclasses.field takes
    default_text: str | None = None,
    is_secret: bool = False,
    choice: str = "",
    is_argument: bool = False,
    is_list: bool = False,
) -> Any:
    """A dataclass field that is a setting. `default` is given as text where a person would."""
    shown = str(default) if default_text is None else default_text
    known = Setting(flag, metavar, check, help_text, shown, is_secret, choice, is_argument, is_list)
    return field(default=default, default_factory=factory, repr=not is_secret, metadata={"setting": known})


def refuse_rivals(settings: dict[str, Setting], values: dict[str, Any]) -> None:
    """Raises SettingsError if two of `values` are the same choice."""
    labels: dict[str, str] = {}
    for name, known in settings.items():
        if known.choice and values.get(name):
            first = labels.setdefault(known.choice, known.label)
            if first != known.label:
                raise SettingsError(f"{first} and {known.label} are both given; give one")
