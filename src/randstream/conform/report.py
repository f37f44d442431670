"""Report: the outcomes of the cases, as one line per rule and as JUnit XML."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from xml.etree import ElementTree

from .cases import Case, Outcome
from .rules import UNSEEN


class Report:
    """Takes outcomes as they come. `note` returns the lines of rules that it completes; `only` limits the rules."""

    def __init__(self, cases: Iterable[Case], only: Collection[str] = ()) -> None:
        self.outcomes: list[Outcome] = []
        self._left: dict[str, int] = {}
        for case in cases:
            for rule in (rule for rule in case.rules if not only or rule in only):
                self._left[rule] = self._left.get(rule, 0) + 1
        self._of: dict[str, list[Outcome]] = {rule: [] for rule in self._left}

    @property
    def failed(self) -> int:
        """How many cases did not hold."""
        return sum(outcome.is_broken for outcome in self.outcomes)

    @property
    def played(self) -> int:
        """How many cases were played."""
        return sum(not outcome.why_not for outcome in self.outcomes)

    def note(self, outcome: Outcome) -> list[str]:
        """Add a case's outcome; return the lines of the rules that this completes."""
        self.outcomes.append(outcome)
        lines: list[str] = []
        for rule in (rule for rule in outcome.case.rules if rule in self._of):
            self._of[rule].append(outcome)
            self._left[rule] -= 1
            if not self._left[rule]:
                lines += to_lines(rule, self._of[rule])
        return lines


def to_lines(rule: str, outcomes: list[Outcome]) -> Iterator[str]:
    """The report on one rule: one line, and one more for each failed case after the first."""
    broken = [outcome for outcome in outcomes if outcome.is_broken]
    held = sum(outcome.is_held for outcome in outcomes)
    for number, outcome in enumerate(broken):
        label = f"FAILED   {rule}" if not number else f"         {rule}"
        yield _printable(f"{label}: {outcome.case.name}: expected {outcome.expected}; came {outcome.came}")
    if not broken and held:
        left = [outcome.why_not for outcome in outcomes if outcome.why_not]
        yield f"ok       {rule}: {held} {'case' if held == 1 else 'cases'}" + (f", {len(left)} skipped" if left else "")
    elif not broken:
        yield f"skipped  {rule}: {'; '.join(dict.fromkeys(outcome.why_not for outcome in outcomes))}"


def unseen_lines() -> Iterator[str]:
    """The rules that no case plays."""
    for rule, why in UNSEEN.items():
        yield f"skipped  {rule}: {why}"


def to_junit(suite: str, outcomes: list[Outcome]) -> bytes:
    """JUnit XML: a test case for each case, with the first rule that it plays as its class."""
    root = ElementTree.Element(
        "testsuite", name=suite, tests=str(len(outcomes)), failures=str(sum(each.is_broken for each in outcomes)),
        skipped=str(sum(bool(each.why_not) for each in outcomes)),
    )  # fmt: skip
    for outcome in outcomes:
        case = outcome.case
        test = ElementTree.SubElement(
            root, "testcase", classname=case.rules[0], name=_printable(case.name), time=f"{outcome.seconds:.3f}"
        )
        if outcome.is_broken:
            message = _printable(f"expected {outcome.expected}; came {outcome.came}")
            ElementTree.SubElement(test, "failure", message=message).text = f"rules: {', '.join(case.rules)}"
        elif outcome.why_not:
            ElementTree.SubElement(test, "skipped", message=_printable(outcome.why_not))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
