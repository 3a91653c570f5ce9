"""mutants.toml: what an exercise's checks must make of each mutant."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import msgspec

from autograders.load import Exercise, read_toml

ALL = "all"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For mutants whose names match: what they fail, or why they are right."""

    mutants: tuple[str, ...]
    """Names, with `*` for any text."""
    fails: tuple[str, ...] = ()
    """Checks, guards and questions; `all` is every check and question."""
    equivalent: str = ""
    """Why such a mutant is a right answer, too."""

    def matches(self, name: str) -> bool:
        return any(fnmatchcase(name, each) for each in self.mutants)


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """mutants.toml as a whole; the first rule that matches a mutant counts."""

    rule: tuple[Rule, ...] = ()
    """Most special first."""
    live: tuple[str, ...] = ()
    """Edits that are also tried on a cluster, made to the solution's manifests; `deleted`, too."""

    def of(self, name: str) -> Rule | None:
        return next((each for each in self.rule if each.matches(name)), None)


def read_rules(exercise: Exercise) -> Rules:
    """The exercise's mutants.toml; none is no rules, and then nothing is proven."""
    path = exercise.folder / "mutants.toml"
    return read_toml(path, Rules) if path.is_file() else Rules()


def names_of(rule: Rule, exercise: Exercise) -> tuple[str, ...]:
    """The checks, guards and questions that must fail."""
    return tuple(scored(exercise)) if ALL in rule.fails else rule.fails


def scored(exercise: Exercise) -> Iterator[str]:
    yield from (each.name for each in exercise.checks)
    yield from (each.id for each in exercise.questions if not each.by_hand)


def faults(rules: Rules, exercise: Exercise) -> Iterator[str]:
    """What mutants.toml says against itself and against checks.py."""
    known = {*scored(exercise), *(each.name for each in exercise.guards), ALL}
    for rule in rules.rule:
        if bool(rule.fails) == bool(rule.equivalent):
            yield f"mutants.toml: {rule.mutants[0]!r} needs either fails or equivalent"
        for name in set(rule.fails) - known:
            yield f"mutants.toml: {rule.mutants[0]!r} fails {name!r}, which is no check"
