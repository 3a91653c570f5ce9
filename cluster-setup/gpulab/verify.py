"""`gpulab verify`: prove on a cluster, and then on its recording, that marks mean something."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml

from autograders import variants
from autograders.connect import connect
from autograders.errors import InputError
from autograders.load import Exercise, load_exercise, read_variant
from autograders.model import Answers
from autograders.mutants import Edit, edits, read_rules
from autograders.mutants.rules import names_of, scored
from autograders.proof import Case, Kind, Proof, prove_offline
from gpulab import lab, lifecycle, trial
from gpulab.lab import Record
from gpulab.paths import LabPaths, lab_paths
from gpulab.recording import Recording, inputs, recorded, save
from gpulab.reset import empty, reset
from gpulab.trial import Bench

SPEED = 20.0
"""Of the lab that is made for a proof: pulls and back-off take a twentieth of their time."""
SECRET = b"verify"
DELETED = "deleted"
Told = Callable[[Case], None]


def prove(
    exercise: Exercise, paths: LabPaths, record: Record, seed: str | None, told: Told
) -> Proof:
    """Try everything that the exercise declares; `told` hears of each case as it ends."""
    began = time.monotonic()
    cases: list[Case] = []
    faults = list(unrefused(exercise))

    def add(case: Case) -> None:
        cases.append(case)
        told(case)

    reset(paths, exercise)
    with (
        connect(paths.grader_kubeconfig) as api,
        connect(paths.kubeconfig, read_only=False) as admin,
    ):
        bench = Bench(paths, record, exercise, api, admin, seed)
        add(trial.shipped(bench))
        recording = solution(bench, add)
        for kind, folder, name in answers_of(exercise):
            must_fail = (name.split(".")[0],) if kind is Kind.WRONG else ()
            with trial.laid_out(exercise, exercise.folder / "solution", folder) as laid:
                add(trial.tried(bench, kind, name, laid, must_fail)[0])
        live_mutants(bench, add)
    reset(paths, exercise)
    if recording is not None:
        save(exercise.id, recording)
        faults += offline(exercise, recording, add)
    return proof(exercise, cases, faults, began)


def prove_recorded(exercise_folder: Path, told: Told) -> Proof:
    """Only the part that needs no cluster."""
    began = time.monotonic()
    recording = recorded(exercise_folder)
    exercise = load_exercise(exercise_folder, dict(recording.evidence.variant))
    cases: list[Case] = []

    def add(case: Case) -> None:
        cases.append(case)
        told(case)

    return proof(exercise, cases, offline(exercise, recording, add), began)


def proof(exercise: Exercise, cases: list[Case], faults: list[str], began: float) -> Proof:
    drawn = tuple(f"{name} = {value}" for name, value in exercise.variant.items())
    seconds = time.monotonic() - began
    return Proof(exercise.id, exercise.title, tuple(cases), tuple(faults), drawn, seconds)


def offline(exercise: Exercise, recording: Recording, add: Told) -> list[str]:
    evidence = replace(recording.evidence, exercise_digest=exercise.digest)
    cases, faults = prove_offline(exercise, evidence, recording.answers)
    for case in cases:
        add(case)
    return list(faults)


def unrefused(exercise: Exercise) -> Iterator[str]:
    """Checks, guards and questions that no wrong answer is named after."""
    named = {name.split(".")[0] for kind, _, name in answers_of(exercise) if kind is Kind.WRONG}
    for name in (*scored(exercise), *(each.name for each in exercise.guards)):
        if name not in named:
            yield f"there is no wrong/{name}.<why>/, which it would refuse"


def answers_of(exercise: Exercise) -> Iterator[tuple[Kind, Path, str]]:
    for kind, place in ((Kind.ALTERNATIVE, "alternatives"), (Kind.WRONG, "wrong")):
        for folder in sorted((exercise.folder / place).glob("*/")):
            yield kind, folder, folder.name


def solution(bench: Bench, add: Told) -> Recording | None:
    """Judge the solution, then the same namespace once its objects are deleted."""
    exercise = bench.exercise
    with trial.laid_out(exercise, exercise.folder / "solution") as laid:
        case, evidence, answers = trial.tried(bench, Kind.SOLUTION, "solution", laid)
    add(case)
    if DELETED in read_rules(exercise).live:
        add(deleted(bench, answers))
    return Recording(inputs(exercise), dict(answers), evidence) if evidence else None


def deleted(bench: Bench, answers: Answers) -> Case:
    """Everything in the namespace is gone, and the answers are still right."""
    must_fail = tuple(scored(bench.exercise))
    began = time.monotonic()
    empty(bench.admin, [bench.exercise.namespace])
    return trial.verdict(bench, Kind.LIVE, DELETED, answers, must_fail, began)[0]


def live_mutants(bench: Bench, add: Told) -> None:
    """The solution's manifests with one change, on the cluster."""
    exercise, rules = bench.exercise, read_rules(bench.exercise)
    known = {each.name: each for each in edits()}
    for name in (each for each in rules.live if each != DELETED):
        if name not in known:
            raise InputError(f"mutants.toml: live: there is no edit {name!r}", "see edits.yaml")
        with trial.laid_out(exercise, exercise.folder / "solution") as laid:
            titles = rewrite(laid, known[name])
            rule = rules.of(titles[0]) if titles else None
            must_fail = names_of(rule, exercise) if rule else ("?",)
            add(trial.tried(bench, Kind.LIVE, name, laid, must_fail)[0])


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


@contextmanager
def lab_for(fleet: str, name: str | None) -> Iterator[tuple[LabPaths, Record]]:
    """A lab that is there, or one that is made and removed again."""
    if name is not None:
        paths, record = lab.existing(name)
        if record.fleet != fleet:
            what = f"lab {name!r} has the fleet {record.fleet!r}, the exercise needs {fleet!r}"
            raise InputError(what, "leave --name out: a lab is made for the proof")
        yield paths, record
        return
    paths = lab_paths(f"verify-{os.getpid()}-{fleet}"[:40])
    try:
        yield paths, lifecycle.up(paths, fleet, SPEED)
    finally:
        lifecycle.down(paths, delete=True)


def drawn(folder: Path, seed: str) -> tuple[Exercise, str | None]:
    """The exercise with values of its own for every seed, and what they were drawn from."""
    spec = read_variant(folder)
    if spec is None:
        return load_exercise(folder), None
    number = variants.seed_of(SECRET, seed, folder.name)
    return load_exercise(folder, variants.draw(spec, number)), number.hex()
