"""Every hostile hand-in ends as its file says, and changes no mark but its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from gpulab.classroom import batch, collecting, folder, grading, handed, roster, sandbox
from gpulab.classroom import cluster as clusters
from gpulab.classroom.cluster import Cluster
from gpulab.classroom.folder import EXERCISES, Classroom
from gpulab.classroom.store import Ending, Verdict
from tests import hostile
from tests.hostile import SECOND, Case

CASES = hostile.cases()
UNREAD = [name for name, case in CASES.items() if case.ending == Ending.UNREADABLE]
REPLAYED = [name for name in CASES if name not in UNREAD]
OWNED = Path("/tmp/gpulab-owned")
"""What hostile hand-ins try to write."""


@dataclass(frozen=True)
class Desk:
    """A class, and a cluster of its pool."""

    room: Classroom
    cluster: Cluster
    kit: sandbox.Kit


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    place = tmp_path_factory.mktemp("hostile")
    made = folder.init(place / "room", "hostile", [], 0)
    names = place / "roster.csv"
    names.write_text("id\nada\neve\n")
    roster.add(made, names)
    return made


@pytest.fixture(scope="module")
def desk(room: Classroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("pool")
    with surroundings(GPULAB_HOME=str(home)):
        with sandbox.kit() as kit, clusters.opened(0, "default") as cluster:
            yield Desk(room, cluster, kit)
        left = [each for each in psutil.process_iter(["cmdline"]) if names(each, home)]
        assert left == []
    assert not OWNED.exists()


def names(process: psutil.Process, home: Path) -> bool:
    return str(home) in " ".join(process.info["cmdline"] or [])


@contextmanager
def surroundings(**variables: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def collected(room: Classroom, case: Case, learner: str = "eve") -> grading.Job:
    """From the zip to the job, as `gpulab collect` and `gpulab grade` do it."""
    exercise = hostile.exercise_for(room, case.exercise, learner)
    with tempfile.TemporaryDirectory() as made:
        hostile.hand_in(room, case, learner, Path(made))
        learners = roster.read(room)
        found, lost = collecting.from_zips(Path(made), learners, {case.exercise: exercise}, "")
        assert not lost
        place = room.submitted / learner / case.exercise
        if place.exists():
            for each in place.iterdir():
                each.unlink()
            place.rmdir()
        collecting.take(room, exercise, found[0])
    return batch.job_of(room, handed.handed(place, exercise))


def as_said(case: Case, found: Verdict) -> None:
    assert (found.ending, found.score) == (case.ending, case.score), (found.why, found.report)
    assert bool(found.why) == (found.ending is not Ending.GRADED)


@pytest.mark.parametrize("name", UNREAD)
def test_what_cannot_be_read_is_said_before_a_cluster_is_made(room: Classroom, name: str) -> None:
    case, found = CASES[name], list[Verdict]()
    job = collected(room, case)
    assert batch.unreadable(room, job, "", found.append)
    as_said(case, found[0])
    assert str(room.root) not in found[0].why  # a learner is told of no path of the grader's
    assert not OWNED.exists()


@pytest.mark.live
@pytest.mark.sample
@pytest.mark.parametrize("name", REPLAYED)
def test_a_replayed_one_ends_as_its_file_says(desk: Desk, name: str) -> None:
    case = CASES[name]
    job = collected(desk.room, case)
    found, evidence = grading.grade(desk.cluster, desk.kit, job)
    as_said(case, found)
    assert evidence is not None


@pytest.mark.live
def test_an_honest_one_after_a_hostile_one_gets_its_marks(desk: Desk) -> None:
    for name in ("held-by-a-finalizer", "finalizer-on-the-pod"):
        grading.grade(desk.cluster, desk.kit, collected(desk.room, CASES[name]))
    job = collected(desk.room, Case("honest", Ending.GRADED, 10.0, values_of="ada"), "ada")
    found, _ = grading.grade(desk.cluster, desk.kit, job)
    assert (found.ending, found.score, found.pristine) == (
        Ending.GRADED,
        10.0,
        desk.cluster.digest,
    )


@pytest.mark.live
@pytest.mark.sample
@pytest.mark.parametrize("program", ["etcd", "kube-apiserver"])
def test_a_cluster_that_dies_costs_nobody_a_mark(desk: Desk, program: str) -> None:
    before, place = desk.cluster.restored, str(desk.cluster.paths.root)
    killed = [
        each
        for each in psutil.process_iter(["cmdline"])
        if (words := each.info["cmdline"] or [])
        and Path(words[0]).name == program
        and place in " ".join(words)
    ]
    assert len(killed) == 1
    killed[0].kill()
    job = collected(desk.room, Case("honest", Ending.GRADED, 10.0, values_of="ada"), "ada")
    found, _ = grading.grade(desk.cluster, desk.kit, job)
    assert (found.ending, found.score) == (Ending.GRADED, 10.0), found.why
    assert desk.cluster.restored - before <= 1


def test_there_are_as_many_as_were_asked_for() -> None:
    assert len(CASES) >= 40
    assert (EXERCISES / SECOND).is_dir()
