"""A whole class: what is to be graded, on a few clusters at a time, each verdict kept at once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from autograders import variants
from autograders.errors import InputError
from autograders.load import load_exercise, read_variant
from autograders.model import Evidence
from gpulab import own_nodes
from gpulab.classroom import cluster as clusters
from gpulab.classroom import handed, roster, sandbox, store
from gpulab.classroom.folder import EXERCISES, Classroom
from gpulab.classroom.grading import Clock, Job, grade, verdict
from gpulab.classroom.store import Earlier, Ending, Verdict
from gpulab.verify import ready_types

Told = Callable[[Verdict], None]
MOST_BROKEN = 3
"""Clusters in a row; then something else is wrong."""
FINAL = frozenset({Ending.GRADED, Ending.PERSON, Ending.UNREADABLE})


@dataclass
class Queue:
    """Jobs, handed out so that a cluster changes its exercise and nodes as rarely as it can."""

    jobs: list[Job]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, before: Job | None) -> Job | None:
        with self.lock:
            if not self.jobs:
                return None
            groups: dict[tuple[str, str], list[Job]] = {}
            for each in self.jobs:
                groups.setdefault((each.exercise.id, each.fleet), []).append(each)
            same = (before.exercise.id, before.fleet) if before else ("", "")
            chosen = groups.get(same) or max(groups.values(), key=len)
            self.jobs.remove(chosen[0])
            return chosen[0]


def jobs(
    room: Classroom, names: Sequence[str], students: Sequence[str], *, force: bool
) -> tuple[list[Job], list[Verdict]]:
    """What there is to grade, and the verdicts that still hold."""
    learners, new, old = roster.expect(room), list[Job](), list[Verdict]()
    for name in names:
        for each in handed.all_of(room, load_exercise(EXERCISES / name)):
            if each.learner not in learners or (students and each.learner not in students):
                continue
            job = job_of(room, each)
            known = store.read(room, name, each.learner)
            if known and not force and holds(known, job):
                old.append(known)
            else:
                new.append(job)
    return new, old


def holds(known: Verdict, job: Job) -> bool:
    """Graded, and neither hand-in nor exercise has changed since."""
    same = (known.submission, known.exercise_digest) == (job.handed.digest, job.exercise.digest)
    return same and known.ending in FINAL


def job_of(room: Classroom, one: handed.Handed) -> Job:
    folder = EXERCISES / one.exercise
    spec = read_variant(folder)
    if spec is None:
        exercise, seed = load_exercise(folder), None
    else:
        number = variants.seed_of(room.secret(), one.learner, one.exercise)
        exercise, seed = load_exercise(folder, variants.draw(spec, number)), number.hex()
    return Job(one, exercise, seed, own_nodes.fleet_of(exercise))


def run(room: Classroom, wanted: Sequence[Job], size: int, reason: str, told: Told) -> None:
    """Grade them all; an interrupt keeps what is graded and takes the clusters away."""
    left = [each for each in wanted if not unreadable(room, each, reason, told)]
    if not left:
        return
    clusters.sweep()
    ready_types()
    msgspec.json.Decoder(Verdict)
    queue, stopped = Queue(left), threading.Event()
    with sandbox.kit() as kit, ThreadPoolExecutor(size) as pool:
        try:
            found = [
                pool.submit(work, room, number, queue, kit, reason, told, stopped)
                for number in range(min(size, len(left)))
            ]
            for each in as_completed(found):
                each.result()
        finally:
            stopped.set()


def unreadable(room: Classroom, job: Job, reason: str, told: Told) -> bool:
    """Said before a cluster is made."""
    with tempfile.TemporaryDirectory(prefix="gpulab-") as made:
        try:
            handed.read(job.exercise, job.handed, Path(made))
        except InputError as error:
            why = error.what.replace(f"{job.handed.folder}/", "")
            keep(room, verdict(job, Ending.UNREADABLE, why, Clock()), None, reason, told)
            return True
    return False


def work(
    room: Classroom,
    number: int,
    queue: Queue,
    kit: sandbox.Kit,
    reason: str,
    told: Told,
    stopped: threading.Event,
) -> None:
    """One cluster, and another where it breaks, until nothing is left."""
    job, broken = queue.next(None), 0
    while job and not stopped.is_set():
        with clusters.opened(number, job.fleet) as cluster:
            while job and not stopped.is_set():
                found, evidence = grade(cluster, kit, job)
                keep(room, found, evidence, reason, told)
                job = queue.next(job)
                if found.ending is Ending.BROKEN:
                    break  # a new one for what is left
                broken = 0
        broken += 1
        if job and broken == MOST_BROKEN:
            what = f"{broken} clusters in a row broke: {found.why}"
            raise InputError(what, "is there memory and disk? gpulab doctor; then grade again")


def keep(room: Classroom, new: Verdict, evidence: Evidence | None, reason: str, told: Told) -> None:
    """Store it, with the mark that it replaces."""
    known = None
    with suppress(InputError):  # a damaged one is replaced
        known = store.read(room, new.exercise, new.learner)
    if known is not None:
        why = reason or (
            "handed in again" if known.submission != new.submission else "graded again"
        )
        new = msgspec.structs.replace(
            new, earlier=(*known.earlier, Earlier(known.score, known.graded_at, why))
        )
    store.save(room, new, evidence)
    told(new)
