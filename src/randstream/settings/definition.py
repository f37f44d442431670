"""Definition of a setting: a dataclass field that knows its flag, variable, check, default and help. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from ..errors import SettingsError
from .checks import shorten

REQUIRED: Final = "required"
"""Stands in for the text of a default, for a setting without one."""

Is = TypeVar("Is")
May = TypeVar("May")
Result = TypeVar("Result")


class Given(Generic[Is, May]):
    """The type of a field that holds an `Is`, and may be given as a `May` too. Only type checkers use it."""

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> Is: ...

        def __set__(self, instance: object, value: Is | May) -> None: ...


@dataclass(frozen=True, slots=True)
class Setting:
    """All that is known about one setting, except its value."""

    flag: str
    metavar: str
    """The placeholder of the value in help; empty for a switch, whose flag takes no value."""
    check: Callable[[Any], Any]
    """Turns a value or its text into the value. Raises ValueError or SettingsError, which says what to give."""
    help: str
    default_text: str
    is_secret: bool = False
    """Its value is never shown."""
    choice: str = ""
    """Of the settings that share this word, at most one can be given."""
    is_argument: bool = False
    """It is not an option of the command line: it follows `--`."""
    examples: tuple[str, ...] = ()
    """Values that a shell completes: all that there are, or usual ones."""
    is_list: bool = False
    """It can be given several times, each time with several values, separated by commas."""

    @property
    def label(self) -> str:
        """How it is given on the command line."""
        return f"-- {self.metavar}" if self.is_argument else f"--{self.flag}"

    @property
    def variable(self) -> str:
        return "RANDSTREAM_" + self.flag.upper().replace("-", "_")

    @property
    def is_switch(self) -> bool:
        return not self.metavar

    def apply(self, function: Callable[[Any], Result], given: Any) -> Result:
        """What `function` returns for the value `given`, with its errors raised as UnusableSetting."""
        try:
            return function(given)
        except (ValueError, TypeError, SettingsError) as error:
            raise UnusableSetting(self, given, str(error)) from None


class UnusableSetting(SettingsError):
    """The value given for one setting cannot be used. The message names its flag, and never shows a secret value."""

    def __init__(self, known: Setting, given: Any, why: str) -> None:
        flag, variable = known.label, known.variable
        if not known.is_secret and isinstance(given, str | Real | Decimal):
            shown = _show(given)
            flag, variable = f"{flag} {shown}", f"{variable}={shown}"
        super().__init__(f"{flag}: {why}")
        self.variable = known.variable
        self.variable_message = f"{variable}: {why}"
        """The same, but it names the environment variable."""


def _show(given: str | Real | Decimal) -> str:
    try:
        return shorten(str(given))
    except ValueError:  # Python spells no integer of more digits than sys.get_int_max_str_digits
        return "of thousands of digits"


def setting(
    flag: str,
    metavar: str,
    check: Callable[[Any], Any],
    help_text: str,
    *,
    default: Any = MISSING,
    factory: Callable[[], Any] = MISSING,  # type: ignore[assignment]  # what dataclasses.field takes
    default_text: str | None = None,
    **traits: Any,
) -> Any:
    """A dataclass field that is a setting, with `traits` of `Setting`.

    `default` is checked as if it were given, so it may be text; a default of None is not checked.
    """
    shown = str(default) if default_text is None else default_text
    known = Setting(flag, metavar, _or_none(check) if default is None else check, help_text, shown, **traits)
    return field(default=default, default_factory=factory, repr=not known.is_secret, metadata={"setting": known})


def _or_none(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def check_values(settings: Mapping[str, Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that `given` means, both by name. Every setting is checked here.

    Raises UnusableSetting, and SettingsError when two settings of one choice are given.
    """
    values = {name: settings[name].apply(settings[name].check, value) for name, value in given.items()}
    labels: dict[str, str] = {}
    for known in (settings[name] for name, value in values.items() if value):
        first = labels.setdefault(known.choice or known.label, known.label)
        if first != known.label:
            raise SettingsError(f"{first} and {known.label} are both given; give one")
    return values
