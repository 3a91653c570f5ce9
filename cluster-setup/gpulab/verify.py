"""`gpulab verify`: prove on a cluster, and then on its recording, that marks mean something."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from autograders import variants
from autograders.connect import Api, ApiAbsent, connect
from autograders.errors import InputError
from autograders.load import Exercise, load_exercise, read_variant
from autograders.mutants import Rules, edits
from autograders.mutants.rules import scored
from autograders.proof import Case, Kind, Proof, prove_offline
from gpulab import binaries, given, lab, lifecycle, mutation, node_state, probing, trial
from gpulab.discovery import kinds
from gpulab.emptying import empty
from gpulab.lab import Record, Wanted
from gpulab.paths import LabPaths, lab_paths
from gpulab.processes import Record as ProcessRecord
from gpulab.providers import EMBEDDED
from gpulab.recording import Recording, inputs, recorded, save
from gpulab.reset import reset
from gpulab.sim.data import check_data
from gpulab.trial import SOLUTION, Bench
from gpulab.waiting import eventually

SPEED = 30.0
"""Of the lab that is made for a proof. Faster, the probes of its operands cost more than is won."""
SECRET = b"verify"
LEAVING_SECONDS = 60.0
AT_ONCE = 3
"""Exercises that are proven side by side on one lab."""
Seeded = tuple[Exercise, str | None]
"""An exercise with its values, and what these were drawn from."""
MakeLab = Callable[[], tuple[LabPaths, Record]]
MAKING = threading.Lock()
READ = (Record, ProcessRecord, given.Given, probing.Before, Rules)
"""Types of files that proofs read side by side."""
Told = Callable[[Exercise, Case], None]
Add = Callable[[Case], None]
T = TypeVar("T")


def prove_all(
    fleets: Mapping[str, Sequence[Seeded]],
    name: str | None,
    told: Told,
    provider: str = EMBEDDED,
) -> Iterator[Proof]:
    """Prove exercises, each with its seed: one lab for each fleet, all of them side by side.

    An interrupt takes the labs away at once; what is still being tried on them then fails soon.
    """
    ready_types()
    with ExitStack() as stack:
        labs = {fleet: stack.enter_context(lab_for(fleet, name, provider)) for fleet in fleets}
        pool = ThreadPoolExecutor(len(fleets))
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        found = [pool.submit(prove_on, labs[fleet], fleets[fleet], told) for fleet in fleets]
        for each in found:
            yield from each.result()


def ready_types() -> None:
    """Let msgspec look its types up: where two threads are the first to use one, it crashes."""
    for each in READ:
        msgspec.json.Decoder(each)
    edits()
    binaries.ensure()


def prove_on(make: MakeLab, group: Sequence[Seeded], told: Told) -> list[Proof]:
    """Prove exercises on one lab, side by side but for those that see one another."""
    paths, record = make()

    def one(each: Seeded) -> Proof:
        return prove(each[0], paths, record, each[1], told)

    apart = [each for each in group if sees_others(each[0])]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        together = list(pool.map(one, [each for each in group if each not in apart]))
    return [*together, *map(one, apart)]


def leaving(api: Api, namespace: str) -> str | None:
    """A namespace that somebody deleted takes a while to go, and nothing can be made in it."""
    try:
        metadata = api.json(f"/api/v1/namespaces/{namespace}")["metadata"]
    except ApiAbsent:
        return None
    return f"namespace {namespace} being deleted" if "deletionTimestamp" in metadata else None


def sees_others(exercise: Exercise) -> bool:
    """Whether an exercise sees or changes more than its own namespace, and looks at nodes."""
    return bool(exercise.settings.probe) or any(
        each.scope == "cluster" and each.resource not in ("namespaces", "nodes")
        for each in exercise.settings.collect
    )


def prove(
    exercise: Exercise, paths: LabPaths, record: Record, seed: str | None, told: Told
) -> Proof:
    """Try everything that the exercise declares; `told` hears of each case as it ends."""
    began = time.monotonic()
    cases: list[Case] = []
    faults = list(unrefused(exercise))

    def add(case: Case) -> None:
        cases.append(case)
        told(exercise, case)

    with (
        connect(paths.grader_kubeconfig) as api,
        connect(paths.admin_kubeconfig, read_only=False) as admin,
    ):
        space, do = exercise.namespace, "see what holds it: kubectl describe namespace"
        eventually(lambda: leaving(api, space), LEAVING_SECONDS, do)
        reset(paths, exercise)
        nodes = node_state.of(admin) if sees_others(exercise) else {}
        own = trial.kinds_of(exercise, kinds(admin))
        bench = Bench(paths, record, exercise, api, admin, seed, nodes=nodes, kinds=own)
        add(trial.shipped(bench))
        recording = solution(bench, add)
        for kind, folder, name in answers_of(exercise):
            if not is_about_answers(folder):
                add(other(bench, kind, folder, name, trial.tried)[0])
        for case in mutation.tried(bench):
            add(case)
        empty(admin, [exercise.namespace])
    given.forget(paths, exercise.id)
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
        told(exercise, case)

    return proof(exercise, cases, offline(exercise, recording, add), began)


def proof(exercise: Exercise, cases: list[Case], faults: list[str], began: float) -> Proof:
    drawn = tuple(f"{name} = {value}" for name, value in exercise.variant.items())
    seconds = time.monotonic() - began
    return Proof(exercise.id, exercise.title, tuple(cases), tuple(faults), drawn, seconds)


def offline(exercise: Exercise, recording: Recording, add: Add) -> list[str]:
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


def solution(bench: Bench, add: Add) -> Recording | None:
    """Judge the solution, then the same namespace once its objects are deleted."""
    exercise = bench.exercise
    with trial.laid_out(exercise, exercise.folder / SOLUTION) as laid:
        case, evidence, answers = trial.tried(bench, Kind.SOLUTION, SOLUTION, laid)
        add(case)
        for kind, folder, name in answers_of(exercise):
            if is_about_answers(folder):
                add(other(bench, kind, folder, name, trial.answered))
        trial.remove(bench, laid)
    for deleted in mutation.deleted(bench, answers):
        add(deleted)
    if evidence is None or case.fault:
        return None
    return Recording(inputs(exercise), dict(answers), evidence)


def other(bench: Bench, kind: Kind, folder: Path, name: str, try_it: Callable[..., T]) -> T:
    """Try what differs from the solution, laid over it."""
    must_fail = (name.split(".")[0],) if kind is Kind.WRONG else ()
    with trial.laid_out(bench.exercise, bench.exercise.folder / SOLUTION, folder) as laid:
        return try_it(bench, kind, name, laid, must_fail)


def is_about_answers(folder: Path) -> bool:
    """Nothing of the cluster differs, so the solution's state serves."""
    return {path.name for path in folder.iterdir()} == {trial.ANSWERS}


@contextmanager
def lab_for(fleet: str, name: str | None, provider: str) -> Iterator[MakeLab]:
    """A lab that is there, or one that is made when it is asked for, and removed at the end."""
    if name is not None:
        found = lab.existing(name)
        if found[1].fleet != fleet:
            what = f"lab {name!r} has the fleet {found[1].fleet!r}, the exercise needs {fleet!r}"
            raise InputError(what, "leave --name out: a lab is made for the proof")
        yield lambda: found
        return
    check_data(fleet)
    paths = lab_paths(f"verify-{os.getpid()}-{Path(fleet).stem}"[:40].strip("-"))
    try:
        yield lambda: (paths, made(paths, Wanted(fleet, SPEED, provider)))
    finally:
        lifecycle.down(paths, delete=True)


def made(paths: LabPaths, wanted: Wanted) -> Record:
    """Make one lab at a time: kwok gives up if its API server takes half a minute to come up."""
    with MAKING:
        return lifecycle.up(paths, wanted, lasting=False)


def drawn(folder: Path, seed: str) -> tuple[Exercise, str | None]:
    """The exercise with values of its own for every seed, and what they were drawn from."""
    spec = read_variant(folder)
    if spec is None:
        return load_exercise(folder), None
    number = variants.seed_of(SECRET, seed, folder.name)
    return load_exercise(folder, variants.draw(spec, number)), number.hex()
