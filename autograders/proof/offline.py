"""Mutants of a recorded solution, and what the checks would overlook without one of their lines."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator

from autograders.load import Exercise
from autograders.model import Answers, Evidence
from autograders.mutants import Mutant, Rule, Rules, mutants_of, read_rules
from autograders.mutants.rules import faults, names_of, scored
from autograders.proof.deletion import Line, lines_of, without
from autograders.proof.model import Case, Kind, judged
from autograders.run import decide

LEAST = 2
"""Mutants that must fail each scored check."""


def prove_offline(
    exercise: Exercise, evidence: Evidence, answers: Answers
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Decide every mutant of the solution; cases, and faults apart from single cases."""
    rules = read_rules(exercise)
    wrong = list(faults(rules, exercise))
    mutants = list(mutants_of(exercise, evidence, answers))
    cases = list(decided(exercise, rules, mutants))
    wrong += unspoken(rules, mutants)
    wrong += too_seldom(exercise, cases)
    if not wrong and not any(case.fault for case in cases):  # else nothing follows from a deletion
        cases += deletions(exercise, rules, mutants)
    return tuple(cases), tuple(wrong)


def decided(exercise: Exercise, rules: Rules, mutants: Iterable[Mutant]) -> Iterator[Case]:
    for mutant in mutants:
        rule = rules.of(mutant.name)
        if rule is None:
            continue
        kind = Kind.EQUIVALENT if rule.equivalent else Kind.MUTANT
        names, began = names_of(rule, exercise), time.thread_time()
        fault = judged(decide(exercise, mutant.evidence, mutant.answers), kind, names)
        seconds = time.thread_time() - began
        yield Case(kind, mutant.name, fault, seconds, names, rule.equivalent)


def unspoken(rules: Rules, mutants: list[Mutant]) -> Iterator[str]:
    """Mutants without a rule, and rules without a mutant."""
    for mutant in mutants:
        if rules.of(mutant.name) is None:
            yield f"mutants.toml says nothing about {mutant.name!r}"
    used = {id(rules.of(mutant.name)) for mutant in mutants}
    for rule in rules.rule:
        if id(rule) not in used:
            yield f"mutants.toml: no mutant is left for {rule.mutants[0]!r}"


def too_seldom(exercise: Exercise, cases: Iterable[Case]) -> Iterator[str]:
    """Find checks that hardly any mutant fails: nobody knows whether they can refuse."""
    failed = Counter(name for case in cases if not case.fault for name in case.fails)
    for name in scored(exercise):
        if failed[name] < LEAST:
            yield f"{name} is failed by {failed[name]} mutants, of {LEAST} that are needed"
    for guard in exercise.guards:
        if not failed[guard.name]:
            yield f"the guard {guard.name} is failed by no mutant"


def deletions(exercise: Exercise, rules: Rules, mutants: list[Mutant]) -> Iterator[Case]:
    """Delete each line in turn; a line whose absence nobody notices proves nothing."""
    ruled = [(rule, mutant) for mutant in mutants if (rule := rules.of(mutant.name))]
    for line in lines_of(exercise):
        began = time.thread_time()
        weakened = without(exercise, line)
        likely = sorted(ruled, key=lambda each: unlikely(each[0], line))
        tried = decided(weakened, rules, (mutant for _, mutant in likely))
        fault = "" if any(case.fault for case in tried) else "nothing notices when it is deleted"
        name = f"checks.py:{line.number} {line.text[:90]}"
        yield Case(Kind.DELETED, name, fault, time.thread_time() - began)


def unlikely(rule: Rule, line: Line) -> tuple[bool, bool, int]:
    """How late a mutant is tried: those first that only this line's function is to refuse."""
    return bool(rule.equivalent), line.function not in rule.fails, len(rule.fails)
