"""What a proof consists of: cases with a known right verdict, and what the grader said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from autograders.model import Outcome, Report, Result
from autograders.proof.bound import upper_bound


class Kind(StrEnum):
    """Where a case comes from."""

    SHIPPED = "shipped state"
    SOLUTION = "solution"
    ALTERNATIVE = "alternative"
    WRONG = "wrong answer"
    MUTANT = "mutant"
    EQUIVALENT = "equivalent mutant"
    LIVE = "mutant on the cluster"
    DELETED = "expect-line deleted"


RIGHT = frozenset({Kind.SOLUTION, Kind.ALTERNATIVE, Kind.EQUIVALENT})
"""Must get full marks; all others must not."""


@dataclass(frozen=True)
class Case:
    """One state, and whether the grader said of it what it must."""

    kind: Kind
    """Where it comes from."""
    name: str
    """Which one."""
    fault: str = ""
    """How the verdict was wrong; empty when it was right."""
    seconds: float = 0.0
    """What it took: on a cluster from the first change to the verdict, else processor time."""
    fails: tuple[str, ...] = ()
    """The checks, guards and questions that had to fail, and did."""
    reason: str = ""
    """Why it is a right answer, of an equivalent mutant."""

    @property
    def must_pass(self) -> bool:
        return self.kind in RIGHT


@dataclass(frozen=True)
class Proof:
    """Everything that was tried on one exercise."""

    exercise: str
    """The exercise's folder name."""
    title: str
    """The exercise's title."""
    cases: tuple[Case, ...]
    """In the order in which they were tried."""
    faults: tuple[str, ...] = ()
    """What is wrong apart from single cases."""
    variant: tuple[str, ...] = ()
    """The values that were drawn, as `name = value`."""
    seconds: float = 0.0
    """From beginning to end."""

    @property
    def proven(self) -> bool:
        return not self.faults and not any(each.fault for each in self.cases)


@dataclass(frozen=True)
class Tally:
    """One row of a table: how often the grader was wrong, and how often it may be."""

    kind: str
    """What was counted."""
    cases: int
    """How many."""
    wrong: int
    """How many got the wrong verdict."""

    @property
    def bound(self) -> float:
        """One-sided, 95 %."""
        return upper_bound(self.wrong, self.cases)


def tally(cases: Iterable[Case], *, must_pass: bool) -> tuple[Tally, ...]:
    """Count false fails (`must_pass`) or false passes, by kind and in all."""
    answers = (each for each in cases if each.kind is not Kind.DELETED)  # that one is no answer
    counted = [each for each in answers if each.must_pass is must_pass]
    rows = []
    for kind in Kind:
        found = [each for each in counted if each.kind is kind]
        if found:
            rows.append(Tally(kind.value, len(found), sum(bool(each.fault) for each in found)))
    return (*rows, Tally("in all", len(counted), sum(bool(each.fault) for each in counted)))


WITHHELD = frozenset({Outcome.FAILED, Outcome.NOT_YET})


def judged(report: Report, kind: Kind, must_fail: Iterable[str] = ()) -> str:
    """Say how a verdict is wrong; empty when it is right."""
    broken = [each.name for each in every(report) if each.outcome is Outcome.BROKEN]
    if broken:
        return f"{broken[0]} is broken: {by_name(report)[broken[0]].seen}"
    if kind in RIGHT:
        return "" if report.full_marks else f"no full marks: {first_refusal(report)}"
    if kind is Kind.SHIPPED:
        return "" if report.score == 0 else f"scores {report.score:g}, not 0"
    if report.full_marks:
        return "full marks"
    results, wanted = by_name(report), WITHHELD if kind is not Kind.WRONG else {Outcome.FAILED}
    for name in must_fail:
        if name not in results or results[name].outcome not in wanted:
            found = results[name].outcome.value if name in results else "not there"
            return f"{name} is {found}, and had to fail"
    return ""


def every(report: Report) -> Iterator[Result]:
    yield from report.guards
    yield from report.results


def by_name(report: Report) -> dict[str, Result]:
    return {each.name: each for each in every(report)}


def first_refusal(report: Report) -> str:
    for each in every(report):
        if each.outcome is not Outcome.PASSED:
            return f"{each.name} is {each.outcome.value} ({each.seen})"
    return "nothing was refused"
