"""Mutants: a recorded right answer with one thing changed, to see whether the grader notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autograders.load import Exercise
from autograders.model import Answers, Evidence, KubeObject
from autograders.mutants import generators
from autograders.mutants.edits import Edit, edits, edits_of
from autograders.mutants.rules import Rule, Rules, read_rules
from autograders.mutants.trials import trials

__all__ = ["Edit", "Mutant", "Rule", "Rules", "edits", "mutants_of", "read_rules"]


@dataclass(frozen=True)
class Mutant:
    """One changed state, ready to be decided."""

    name: str
    """`Pod/gpu-test: no GPU limit`: the object and the change."""
    evidence: Evidence
    """With the change in its last phase."""
    answers: Answers
    """With the change, if it is one of answers."""


def mutants_of(exercise: Exercise, evidence: Evidence, answers: Answers) -> Iterator[Mutant]:
    """Everything that the generators make of one right answer."""
    space = exercise.namespace
    for name, changed in (
        *edited(evidence, space),
        *generators.gone(evidence, space),
        *generators.pods(evidence, space),
        *generators.logs(evidence, space),
        *trials(evidence, space),
    ):
        yield Mutant(name, changed, answers)
    for name, others in generators.answers(answers, exercise.questions):
        yield Mutant(name, evidence, others)


def edited(evidence: Evidence, namespace: str) -> Iterator[tuple[str, Evidence]]:
    for thing in targets(evidence, namespace):
        for edit in edits_of(str(thing.get("kind"))):
            changed = edit(thing)
            if changed != thing:
                name = f"{generators.name_of(thing)}: {edit.name}"
                yield name, generators.replaced(evidence, thing, changed)


def targets(evidence: Evidence, namespace: str) -> Iterator[KubeObject]:
    """The learner's objects, and the nodes that they are on."""
    own = generators.own(evidence, namespace)
    yield from own
    used = {(each.get("spec") or {}).get("nodeName") for each in own}
    for each in evidence.phases[-1].objects:
        if each.get("kind") == "Node" and each["metadata"]["name"] in used:
            yield each
