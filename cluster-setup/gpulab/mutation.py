"""Mutants on the cluster: the solution's manifests with one change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from autograders.errors import InputError
from autograders.model import Answers
from autograders.mutants import Edit, edits, read_rules
from autograders.mutants.rules import names_of
from autograders.proof import Case, Kind
from gpulab import trial
from gpulab.emptying import empty
from gpulab.trial import SOLUTION, Bench

DELETED = "deleted"
EVERYTHING = "everything: deleted"
"""The mutant of a recording that this one is like."""


def deleted(bench: Bench, answers: Answers) -> Iterator[Case]:
    """Everything in the namespace is gone, and the answers are still right."""
    rules = read_rules(bench.exercise)
    if DELETED not in rules.live:
        return
    began = time.monotonic()
    empty(bench.admin, [bench.exercise.namespace], bench.kinds)
    bench.probed.clear()
    must_fail = expected(bench, [EVERYTHING])
    yield trial.verdict(bench, Kind.LIVE, DELETED, answers, must_fail, began)[0]


def tried(bench: Bench) -> Iterator[Case]:
    """The solution's manifests with one change, on the cluster."""
    exercise, rules = bench.exercise, read_rules(bench.exercise)
    known = {each.name: each for each in edits()}
    for name in (each for each in rules.live if each != DELETED):
        if name not in known:
            raise InputError(f"mutants.toml: live: there is no edit {name!r}", "see edits.yaml")
        with trial.laid_out(exercise, exercise.folder / SOLUTION) as laid:
            titles = rewrite(laid, known[name])
            yield trial.tried(bench, Kind.LIVE, name, laid, expected(bench, titles))[0]


def expected(bench: Bench, mutants: list[str]) -> tuple[str, ...]:
    """What mutants.toml says of the first of these, as of the same change in a recording."""
    rule = read_rules(bench.exercise).of(mutants[0]) if mutants else None
    if rule is None:
        what = f"mutants.toml of {bench.exercise.id}: live: an edit changes nothing of the solution"
        raise InputError(what, "name another edit, or add a rule for what it changes")
    return names_of(rule, bench.exercise)


def rewrite(folder: Path, edit: Edit) -> list[str]:
    """Make an edit to every manifest of its kind; the names of the mutants that this makes."""
    titles = []
    for file in sorted(folder.glob("*.yaml")):
        documents = [each for each in yaml.safe_load_all(file.read_text()) if each]
        changed = [edit(each) if edit.kind in ("*", each["kind"]) else each for each in documents]
        titles += [
            f"{old['kind']}/{old['metadata']['name']}: {edit.name}"
            for old, new in zip(documents, changed, strict=True)
            if old != new
        ]
        file.write_text(yaml.safe_dump_all(changed))
    return titles
