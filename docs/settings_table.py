"""Writes docs/settings.md from the settings: `make docs`. A test keeps the file up to date."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from randstream.settings import CommonSettings, ProducerSettings, WorkerSettings, settings_of
from randstream.settings.definition import Setting

PAGE = Path(__file__).with_name("settings.md")

INTRODUCTION = """\
# Settings

<!-- Made by `make docs` from src/randstream/settings/roles.py: change it there. -->

Every option of `randstream producer` and `randstream worker` is an environment variable too. A flag wins over a
variable. An empty variable counts as not set; only an empty `RANDSTREAM_SEED` is an error, so a missing secret does not
silently mean a drawn seed. A `RANDSTREAM_` variable that is in no table here is an error.

`RANDSTREAM_ROLE=producer` or `worker` makes `randstream` without a command run that role.

Two groups are one choice each: `--seed` or `--seed-file`; `--store`, `--discard` or a command. Giving two of one choice
is an error, but a flag overrides the variables of its choice: `randstream worker --discard` discards, whatever
`RANDSTREAM_STORE` is. Leaving a switch out does not override its variable: use `RANDSTREAM_DISCARD=false`.

`randstream numbers` and `randstream verify` read the seed in the same way, and `numbers` also the distribution.

An invalid value is reported in one line on standard error, with exit status 2. Sizes are bytes, or end in `KiB`, `MiB`,
`GiB` or `TiB`. Switches as variables take `true` or `false` (`1`, `yes`, `on`; `0`, `no`, `off`).
"""


def page() -> str:
    """The text of docs/settings.md."""
    common = settings_of(CommonSettings)
    parts = [INTRODUCTION]
    for title, settings in {
        "Producer": settings_of(ProducerSettings),
        "Worker": settings_of(WorkerSettings),
        "Both": common,
    }.items():
        own = [known for name, known in settings.items() if settings is common or name not in common]
        parts.append(f"## {title}\n\n{table(own)}")
    return "\n".join(parts)


def table(settings: Iterable[Setting]) -> str:
    """A Markdown table with a row for each setting."""
    rows = ["| Option | Variable | Default | Meaning |", "|---|---|---|---|"]
    for known in settings:
        option = known.label if known.is_argument else f"{known.label} {known.metavar}".strip()
        meaning = known.help.replace("|", "\\|")
        rows.append(f"| `{option}` | `{known.variable}` | {known.default_text} | {meaning} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
