"""nbgrader's own generate_assignment, autograde and export on every exercise, without a lab."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from autograders import cells, verdicts
from autograders.load import Exercise, exercise_names, load_exercise
from autograders.model import Evidence, Outcome, Phase, Report
from autograders.run import decide
from gpulab.paths import ROOT
from tests.conftest import Lab, run, run_clone, said
from tests.recordings import RECORDED, graded, recorded

NAMES = exercise_names(ROOT / "exercises")
EVERY = "[!_]*"  # nbgrader takes a pattern; `_class` is no assignment
BIN = Path(sys.executable).parent
SHIPPED, SOLVED, UNJUDGED, CUT = "shipped", "solved", "unjudged", "cut"
LEARNERS = (SHIPPED, SOLVED, UNJUDGED, CUT)


@dataclass(frozen=True)
class Row:
    """What gradebook.db says of one learner's cell."""

    max_score: float
    score: float | None
    needs_person: bool


@dataclass(frozen=True)
class Class:
    """A clone after release, submission, grading and export."""

    folder: Path
    trap: Path

    def rows(self, learner: str, exercise: str) -> dict[str, Row]:
        query = """
            select base_cell.name, grade_cells.max_score, auto_score, needs_manual_grade from grade
            join base_cell on base_cell.id = cell_id join grade_cells on grade_cells.id = cell_id
            join submitted_notebook on submitted_notebook.id = grade.notebook_id
            join submitted_assignment as one on one.id = submitted_notebook.assignment_id
            join assignment on assignment.id = one.assignment_id
            where one.student_id = ? and assignment.name = ?"""
        with closing(sqlite3.connect(self.folder / "gradebook.db")) as book:
            found = book.execute(query, (learner, exercise)).fetchall()
        return {name: Row(most, score, bool(person)) for name, most, score, person in found}

    def exported(self, learner: str, exercise: str) -> tuple[float, float]:
        with (self.folder / "grades.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                if (row["student_id"], row["assignment"]) == (learner, exercise):
                    return float(row["score"]), float(row["max_score"])
        raise AssertionError(f"{learner} and {exercise} are not exported")


def nbgrader(clone: Path, *arguments: str) -> None:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # it runs alembic
    own = {name: str(clone.parent / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR")}
    env = {**os.environ, **own, "PATH": path}
    done = run([str(BIN / "nbgrader"), *arguments], env, 400, cwd=clone)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def classroom(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Class:
    """With those exercises that a test asks about: each takes nbgrader seconds."""
    names = {item.callspec.params["name"] for item in request.session.items if asks(item)}
    names = names or {NAMES[0]}
    clone = tmp_path_factory.mktemp("class") / "clone"
    clone.mkdir()
    shutil.copytree(ROOT / "exercises", clone / "exercises", ignore=shutil.ignore_patterns("_*"))
    shutil.copy(ROOT / "nbgrader_config.py", clone)
    made = Class(clone / "exercises" / "_class", clone / "trap")
    for name in set(NAMES) - names:
        shutil.rmtree(clone / "exercises" / name)
    nbgrader(clone, "generate_assignment", EVERY)
    for name in names:
        hand_in(made, load_exercise(ROOT / "exercises" / name))
    nbgrader(clone, "autograde", EVERY)
    nbgrader(clone, "export")
    return made


def asks(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and {"classroom", "name"} <= set(item.fixturenames)


def hand_in(made: Class, exercise: Exercise) -> None:
    """Four submissions of an exercise, and verdicts on three of them."""
    for learner in LEARNERS:
        folder = made.folder / "submitted" / learner / exercise.id
        shutil.copytree(made.folder / "release" / exercise.id, folder)
        edit(folder / cells.NOTEBOOK, learner, made.trap)
    verdicts.save(made.folder / "verdicts", SHIPPED, as_shipped(exercise))
    for learner in (SOLVED, CUT):
        verdicts.save(made.folder / "verdicts", learner, as_solved(exercise))


def edit(path: Path, learner: str, trap: Path) -> None:
    notebook = json.loads(path.read_text())
    if learner == UNJUDGED:  # claims points, and would run code
        claim(notebook, trap)
    if learner == CUT:  # deletes the cells that are graded
        notebook["cells"] = [each for each in notebook["cells"] if not cells.grade_id(each)]
    path.write_text(json.dumps(notebook))


def claim(notebook: dict[str, Any], trap: Path) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            if not cells.grade_id(cell):
                cell["source"] = f"open({str(trap)!r}, 'w')"
            ten = {"output_type": "execute_result", "execution_count": 1, "metadata": {}}
            cell["outputs"] = [{**ten, "data": {"text/plain": ["10.0"]}}]


def as_shipped(exercise: Exercise) -> Report:
    """What was given, and no answer; an exercise without a recording: nothing at all."""
    empty = Phase("as-found", tuple(each.resource for each in exercise.settings.collect))
    found, variant = empty, exercise.variant
    if exercise.id in RECORDED:
        exercise, evidence, _ = recorded(exercise.id)
        found, variant = evidence.phases[0], evidence.variant
    phases = (found, replace(found, name="final"))
    digest, at = exercise.digest, "2026-01-01T00:00:00Z"
    evidence = Evidence(exercise.id, digest, "embedded", {}, None, 1.0, at, phases, variant)
    return decide(exercise, evidence, {})


def as_solved(exercise: Exercise) -> Report:
    """As recorded; of an exercise without a recording, its points as data."""
    if exercise.id in RECORDED:
        return graded(exercise.id)
    report = as_shipped(exercise)
    results = tuple(
        replace(each, outcome=Outcome.PASSED, points=each.max_points) for each in report.results
    )
    manual = tuple(replace(each, seen="answered in 40 words") for each in report.manual)
    score = report.max_score
    return replace(report, score=score, results=results, manual=manual)


def by_hand(exercise: str) -> set[str]:
    found = cells.grade_cells(load_exercise(ROOT / "exercises" / exercise))
    return {each.id for each in found if each.by_hand}


# -- notebooks


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_the_grade_cells_of_its_checks_and_questions(name: str) -> None:
    exercise = load_exercise(ROOT / "exercises" / name)
    notebook = cells.read(exercise)
    assert cells.marked(notebook, exercise) == notebook, f"run: .venv/bin/gpulab cells {name}"


def test_the_command_puts_a_changed_notebook_in_step(no_lab: Lab, clone: Path) -> None:
    path = clone / "exercises" / "01-deploy-gpu-pod" / cells.NOTEBOOK
    good = path.read_text()
    path.write_text(good.replace('"points": 10.0', '"points": 9.0'))
    assert path.read_text() != good
    done = run_clone(clone, no_lab, "cells", "01")
    assert (done.returncode, done.stdout.split()[-1]) == (0, "written"), done.stderr
    assert path.read_text() == good
    assert run_clone(clone, no_lab, "cells", "01").stdout.split()[-2:] == ["in", "step"]


@pytest.mark.parametrize("content", ["", "[]", '{"cells": [{}]}', '{"cells": []}', "\xff"])
def test_a_notebook_that_is_none_is_named(no_lab: Lab, clone: Path, content: str) -> None:
    path = clone / "exercises" / "01-deploy-gpu-pod" / cells.NOTEBOOK
    path.write_text(content, encoding="latin-1")
    what, do = said(run_clone(clone, no_lab, "cells", "01"))
    assert str(path) in what
    assert do


def test_a_free_text_without_a_cell_is_named(no_lab: Lab, clone: Path) -> None:
    path = clone / "exercises" / "04-assessment" / cells.NOTEBOOK
    path.write_text(path.read_text().replace("insufficient_advice", "another"))
    what, do = said(run_clone(clone, no_lab, "cells", "04"))
    assert "has no cell for 'insufficient_advice'" in what
    assert '{"nbgrader": {"grade_id": "insufficient_advice"}}' in do


# -- the gradebook


@pytest.mark.sample("autograders/", "nbgrader_config.py")
@pytest.mark.parametrize("name", NAMES)
def test_the_gradebook_has_the_points_of_checks_and_questions(classroom: Class, name: str) -> None:
    exercise = load_exercise(ROOT / "exercises" / name)
    rows = classroom.rows(SHIPPED, name)
    wanted = {each.id: each.points for each in cells.grade_cells(exercise)}
    assert {cell: row.max_score for cell, row in rows.items()} == wanted
    assert sum(wanted.values()) == exercise.max_score + exercise.manual_max
    assert classroom.exported(SHIPPED, name)[1] == exercise.max_score + exercise.manual_max


@pytest.mark.sample("autograders/", "nbgrader_config.py")
@pytest.mark.parametrize("name", NAMES)
def test_an_exercise_as_shipped_has_0_in_the_gradebook(classroom: Class, name: str) -> None:
    for cell, row in classroom.rows(SHIPPED, name).items():
        assert (row.score, row.needs_person) == (0.0, False), cell
    assert classroom.exported(SHIPPED, name)[0] == 0


@pytest.mark.parametrize("learner", [SOLVED, CUT])
@pytest.mark.sample("autograders/", "nbgrader_config.py")
@pytest.mark.parametrize("name", NAMES)
def test_a_solved_exercise_has_all_points_that_no_person_gives(
    classroom: Class, name: str, learner: str
) -> None:
    """Also in a submission whose grade cells were deleted: the verdict counts."""
    for cell, row in classroom.rows(learner, name).items():
        wanted = (None, True) if cell in by_hand(name) else (row.max_score, False)
        assert (row.score, row.needs_person) == wanted, cell
    exercise = load_exercise(ROOT / "exercises" / name)
    assert classroom.exported(learner, name)[0] == exercise.max_score


@pytest.mark.sample("autograders/", "nbgrader_config.py")
@pytest.mark.parametrize("name", NAMES)
def test_without_a_verdict_a_person_is_asked_whatever_the_cells_print(
    classroom: Class, name: str
) -> None:
    rows = classroom.rows(UNJUDGED, name)
    assert {(row.score, row.needs_person) for row in rows.values()} == {(None, True)}
    assert classroom.exported(UNJUDGED, name)[0] == 0


def test_no_submission_is_executed(classroom: Class) -> None:
    assert not classroom.trap.exists()


@pytest.mark.sample("autograders/", "nbgrader_config.py")
@pytest.mark.parametrize("name", NAMES)
def test_a_release_holds_no_solution_and_no_key(classroom: Class, name: str) -> None:
    folder = classroom.folder / "release" / name
    found = {path.name for path in folder.rglob("*")}
    assert {cells.NOTEBOOK, "exercise.toml", "checks.py", "setup.yaml"} <= found
    assert not found & {"solution", "alternatives", "wrong", "quiz.toml", "mutants.toml"}
    released = json.loads((folder / cells.NOTEBOOK).read_text())["cells"]
    locked = [each for each in released if each["metadata"].get("editable") is False]
    assert [cells.grade_id(each) for each in locked] == [
        each.id
        for each in cells.grade_cells(load_exercise(ROOT / "exercises" / name))
        if not each.by_hand
    ]
