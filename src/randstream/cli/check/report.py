"""Report: what a check has measured, and whether it is within the limits; both as JSON and as JUnit XML. Pure.

`docs/check.md` documents the JSON; a change that breaks its readers is a new SCHEMA.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from xml.etree import ElementTree

from ..summary import RoundTrips, in_trouble_first
from ..words import counted, in_seconds

SCHEMA: Final = "randstream-check/1"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a link may be interrupted, in seconds."""

    max_interruption: float
    """Any one interruption's length."""
    max_total: float
    """The length of all interruptions of one link."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """One interruption of a link."""

    start: str
    """When the last byte before it arrived: UTC, in ISO 8601."""
    seconds: float
    unnoticed: float | None
    """How many of them passed before the loss of a connection was noticed; None: none was lost."""
    cause: str
    is_over: bool


@dataclass(frozen=True, slots=True)
class LinkResult:
    """What became of the stream to one worker. Counts are of numbers."""

    worker: str | None
    """None: it was never reached."""
    target: str
    stream: str | None
    sent: int
    acknowledged: int
    """Each of them arrived once, in order and unchanged: a worker acknowledges nothing else."""
    round_trips: RoundTrips | None
    count: int
    """How many interruptions there were."""
    longest: float
    total: float
    availability: float
    """The part of the time, from the first number on, in which the stream was not interrupted: 0 to 1."""
    by_cause: dict[str, int]
    interruptions: list[Interruption]
    """The last hundred."""
    problem: str | None = None
    """What is wrong with it now: why it was never reached, or is not proven at the end."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.worker or self.target

    def findings(self, limits: Limits) -> Iterator[str]:
        """Why it is not within `limits`; nothing: it is."""
        if self.problem is not None:
            yield self.problem
        if self.longest > limits.max_interruption:
            yield f"an interruption of {self.longest:.2f} s (at most {limits.max_interruption:g} s)"
        if self.total > limits.max_total:
            yield f"interrupted for {self.total:.2f} s in all (at most {limits.max_total:g} s)"


@dataclass(frozen=True, slots=True)
class Command:
    """The program that ran during a check."""

    arguments: tuple[str, ...]
    status: int
    """Its exit status; 128 and the signal's number if one ended it."""
    seconds: float
    signal: str | None = None
    """The name of that signal; None: it ended by itself."""

    @property
    def outcome(self) -> str:
        """How it ended, for a person."""
        by = "" if self.signal is None else f"was ended by {self.signal}, "
        return f"{by}exit status {self.status} after {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Report:
    """A whole check."""

    version: str
    started: str
    """UTC, in ISO 8601."""
    seconds: float
    """How long streams were watched."""
    settings: dict[str, Any]
    limits: Limits
    command: Command | None
    links: list[LinkResult]
    pause: float = 0.0
    """The longest time that the check itself stood still: silences of that length may be its own."""
    problem: str | None = None
    """Why there is no link, if that is known."""
    schema: str = field(default=SCHEMA)

    @property
    def has_passed(self) -> bool:
        """Whether there are links, and all are within the limits."""
        return self.links != [] and not any(any(link.findings(self.limits)) for link in self.links)

    @property
    def verdict(self) -> str:
        """One line."""
        if not self.links:
            return "FAILED: there was no link to check" + ("" if self.problem is None else f": {self.problem}")
        links = counted(len(self.links), "link")
        worst = sorted(self.links, key=lambda link: in_trouble_first(link.problem, link.longest))
        bad = [(link.name, found) for link in worst if (found := list(link.findings(self.limits)))]
        if bad:
            (first, why), more = bad[0], len(bad) - 1
            others = f", and {more:,} more" if more else ""
            return f"FAILED: {len(bad):,} of {links} outside the limits: {first}: {'; '.join(why)}{others}"
        longest = max(link.longest for link in self.links)
        if any(link.count for link in self.links):
            verdict = f"PASSED: {links} within the limits; the longest interruption was {longest:.2f} s"
        else:
            verdict = f"PASSED: {links}, not one interruption in {in_seconds(self.seconds)}"
        return verdict + (f"; but the command failed: {self.command.outcome}" if self.command and self.status else "")

    @property
    def status(self) -> int:
        """The exit status: 1 outside the limits, else the command's own."""
        if not self.has_passed:
            return 1
        return 0 if self.command is None else self.command.status

    def to_json(self) -> dict[str, Any]:
        """The documented object."""
        return {
            "schema": self.schema,
            "passed": self.has_passed,
            "verdict": self.verdict,
            **{name: value for name, value in asdict(self).items() if name not in ("schema", "links")},
            "links": [{**asdict(link), "findings": list(link.findings(self.limits))} for link in self.links],
        }

    def to_junit(self) -> bytes:
        """JUnit XML: a test case for each link, and one for the command."""
        cases: list[tuple[str, float, str]] = [
            (link.name, self.seconds, "; ".join(link.findings(self.limits))) for link in self.links
        ]
        if not cases:
            cases.append(("links", self.seconds, self.verdict))
        if self.command is not None:
            failure = self.command.outcome if self.command.status else ""
            cases.append((shlex.join(self.command.arguments), self.command.seconds, failure))
        failures = sum(bool(failure) for *_, failure in cases)
        root = ElementTree.Element(
            "testsuite", name="randstream check", tests=str(len(cases)), failures=str(failures),
            timestamp=self.started, time=f"{self.seconds:.3f}",
        )  # fmt: skip
        for name, seconds, failure in cases:
            case = ElementTree.SubElement(
                root, "testcase", classname="randstream.check", name=_printable(name), time=f"{seconds:.3f}"
            )
            if failure:
                ElementTree.SubElement(case, "failure", message=_printable(failure))
        return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
