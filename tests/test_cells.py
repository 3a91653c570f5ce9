"""Rows of a gradebook: which there are, and how a verdict fills them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autograders import cells
from autograders.cells import GradeCell
from autograders.errors import InputError
from autograders.load import Exercise, load_exercise
from autograders.model import ManualMark, Outcome, Report, Result
from gpulab.paths import ROOT
from tests.recordings import RECORDED, graded


@pytest.fixture
def exercise() -> Exercise:
    return load_exercise(ROOT / "exercises" / "01-deploy-gpu-pod")


def in_cells(exercise: Exercise, *names: str) -> Exercise:
    """The exercise with its first checks shown in other cells."""
    moved = [replace(check, cell=name) for check, name in zip(exercise.checks, names, strict=False)]
    return replace(exercise, checks=(*moved, *exercise.checks[len(moved) :]))


def report(*results: Result, guard: Outcome = Outcome.PASSED, manual: str = "") -> Report:
    by_hand = (ManualMark("essay", 6.0, manual, ("rubric",)),) if manual else ()
    guards = (Result("guard", guard, 0.0, 0.0, "", "", "real"),)
    score = sum(each.points for each in results)
    parts = (0.0, results, guards, "", "embedded", 1.0)
    return Report("e", "E", score, 10.0, *parts, manual=by_hand)


def result(points: float, outcome: Outcome = Outcome.PASSED, cell: str | None = None) -> Result:
    return Result("check", outcome, points, 4.0, "", "", "real", cell)


# -- which rows


def test_what_names_no_cell_belongs_to_the_last_one(exercise: Exercise) -> None:
    assert cells.grade_cells(exercise) == (GradeCell("check", 10.0),)


def test_a_named_cell_has_the_points_of_its_checks(exercise: Exercise) -> None:
    found = cells.grade_cells(in_cells(exercise, "image", "gpu", "gpu"))
    assert found == (GradeCell("image", 1.0), GradeCell("gpu", 3.0), GradeCell("check", 6.0))


def test_a_free_text_with_the_name_of_a_cell_is_refused() -> None:
    exercise = load_exercise(ROOT / "exercises" / "04-assessment")
    other = load_exercise(ROOT / "exercises" / "01-deploy-gpu-pod")
    both = in_cells(replace(exercise, checks=other.checks), "insufficient_advice")
    with pytest.raises(InputError, match="is a cell of checks and a free text, too"):
        cells.grade_cells(both)


# -- notebooks


def test_metadata_moves_with_checks_and_nothing_else_changes(exercise: Exercise) -> None:
    moved = in_cells(exercise, "image")
    notebook = cells.read(exercise)
    notebook["cells"][5]["metadata"]["nbgrader"] = {"grade_id": "image"}
    notebook["cells"][7]["metadata"]["nbgrader"] = {"grade_id": "gone", "grade": True}

    made = cells.marked(notebook, moved)

    rows = [each["metadata"].get("nbgrader") for each in made["cells"]]
    points = {each["grade_id"]: each["points"] for each in rows if each}
    assert points == {"image": 1.0, "check": 9.0}
    assert [each["source"] for each in made["cells"]] == [e["source"] for e in notebook["cells"]]
    assert cells.marked(made, moved) == made


@pytest.mark.parametrize(
    ("source", "kind", "what"),
    [
        ("ls", "code", "has no cell for 'check'"),
        ("gpulab check 01", "markdown", "has no cell for 'check'"),
    ],
)
def test_a_notebook_without_a_check_is_named(
    exercise: Exercise, source: str, kind: str, what: str
) -> None:
    one = {"cell_type": kind, "metadata": {}, "source": [source]}
    with pytest.raises(InputError, match=what) as error:
        cells.marked({"cells": [one]}, exercise)
    assert error.value.do == "end it with a cell that runs gpulab check"


def test_two_cells_with_one_name_are_refused(exercise: Exercise) -> None:
    one = {"cell_type": "code", "metadata": {"nbgrader": {"grade_id": "image"}}, "source": []}
    with pytest.raises(InputError, match="has 2 cells for 'image'"):
        cells.marked({"cells": [one, one]}, in_cells(exercise, "image"))


def test_writing_keeps_the_form_in_which_jupyterlab_saves(
    exercise: Exercise, tmp_path: Path
) -> None:
    good = (exercise.folder / cells.NOTEBOOK).read_bytes()
    notebook = json.loads(good)
    notebook["cells"][-1]["metadata"] = {}
    (tmp_path / cells.NOTEBOOK).write_text(json.dumps(notebook))
    copied = replace(exercise, folder=tmp_path)
    assert cells.write(copied)
    assert (tmp_path / cells.NOTEBOOK).read_bytes() == good
    assert not cells.write(copied)


# -- marks


def test_points_are_summed_by_cell() -> None:
    verdict = report(result(4, cell="repair"), result(3), result(0.5, Outcome.FAILED))
    assert cells.marks(verdict) == {"repair": 4.0, "check": 3.5}


def test_a_failed_guard_takes_the_points_of_every_cell() -> None:
    verdict = report(result(4, cell="repair"), result(3), guard=Outcome.FAILED)
    assert cells.marks(verdict) == {"repair": 0.0, "check": 0.0}


@pytest.mark.parametrize("guard", [Outcome.BROKEN, Outcome.NOT_YET])
def test_an_undecided_guard_leaves_every_cell_to_a_person(guard: Outcome) -> None:
    assert cells.marks(report(result(4), guard=guard)) == {"check": None}


def test_a_broken_check_leaves_its_cell_to_a_person() -> None:
    verdict = report(result(4), result(0, Outcome.BROKEN, "repair"), result(4, cell="repair"))
    assert cells.marks(verdict) == {"repair": None, "check": 4.0}


@pytest.mark.parametrize(
    ("seen", "mark"), [("not answered yet", 0.0), ("answered in 9 words", None)]
)
def test_only_a_free_text_that_is_there_waits_for_a_person(seen: str, mark: float | None) -> None:
    assert cells.marks(report(result(4), manual=seen)) == {"check": 4.0, "essay": mark}


@pytest.mark.parametrize("name", RECORDED)
def test_the_marks_of_a_solution_are_its_score(name: str) -> None:
    verdict = graded(name)
    assert sum(each or 0.0 for each in cells.marks(verdict).values()) == verdict.score > 0
