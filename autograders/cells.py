"""Which cells of an exercise's notebook a gradebook has marks for, derived from checks and quiz.

A check's `cell` names its cell; what names none, and the questions, belong to `check`, the last
cell that runs `gpulab check`. A free text has a cell of its own, for a person marks it apart.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograders.errors import InputError
from autograders.load import Exercise
from autograders.model import Outcome, Report
from autograders.quiz.manual import NOT_ANSWERED

CHECK = "check"
"""The cell of all that names no other."""
NOTEBOOK = "exercise.ipynb"
SCHEMA = 3
"""Version of nbgrader's cell metadata."""

Notebook = dict[str, Any]
Cell = dict[str, Any]


@dataclass(frozen=True)
class GradeCell:
    """A row of the gradebook."""

    id: str
    """What nbgrader calls grade_id."""
    points: float
    """What is to be had there."""
    by_hand: bool = False
    """A person gives the points."""


def grade_cells(exercise: Exercise) -> tuple[GradeCell, ...]:
    """All rows of the exercise; their points are those of its checks and questions."""
    points: dict[str, float] = {}
    for check in exercise.checks:
        points[check.cell or CHECK] = points.get(check.cell or CHECK, 0.0) + check.points
    asked = sum(each.points for each in exercise.questions if not each.by_hand)
    if asked:
        points[CHECK] = points.get(CHECK, 0.0) + asked
    cells = [GradeCell(name, float(total)) for name, total in points.items()]
    cells += [GradeCell(q.id, float(q.points), True) for q in exercise.questions if q.by_hand]
    names = [each.id for each in cells]
    for name in names:
        if names.count(name) > 1:
            what = f"{exercise.folder}: {name!r} is a cell of checks and a free text, too"
            raise InputError(what, "give one of them another name")
    return tuple(cells)


def metadata(cell: GradeCell, cell_type: str) -> dict[str, Any]:
    """What nbgrader reads; a free text's cell is the learner's, any other is locked."""
    return {
        "cell_type": cell_type,
        "grade": True,
        "grade_id": cell.id,
        "locked": not cell.by_hand,
        "points": cell.points,
        "schema_version": SCHEMA,
        "solution": cell.by_hand,
        "task": False,
    }


def marked(notebook: Notebook, exercise: Exercise) -> Notebook:
    """The notebook with the metadata of its grade cells, and of no other."""
    made = copy.deepcopy(notebook)
    found = {wanted.id: place(notebook, wanted, exercise) for wanted in grade_cells(exercise)}
    for cell in made["cells"]:
        cell["metadata"].pop("nbgrader", None)
    for wanted in grade_cells(exercise):
        cell = made["cells"][found[wanted.id]]
        cell["metadata"]["nbgrader"] = metadata(wanted, cell["cell_type"])
    return made


def place(notebook: Notebook, wanted: GradeCell, exercise: Exercise) -> int:
    """Where the notebook has this cell."""
    cells: list[Cell] = notebook["cells"]
    named = [i for i, each in enumerate(cells) if grade_id(each) == wanted.id]
    if wanted.id == CHECK:
        named = [i for i, each in enumerate(cells) if runs_check(each)][-1:]
    if len(named) != 1:
        count = "no cell" if not named else f"{len(named)} cells"
        raise InputError(f"{exercise.folder / NOTEBOOK} has {count} for {wanted.id!r}", ask(wanted))
    kind = cells[named[0]]["cell_type"]
    if (kind == "markdown") != wanted.by_hand:
        what = f"{exercise.folder / NOTEBOOK}: the cell for {wanted.id!r} is of type {kind}"
        raise InputError(what, "a free text has a Markdown cell, a check a code cell")
    return named[0]


def ask(wanted: GradeCell) -> str:
    if wanted.id == CHECK:
        return "end it with a cell that runs gpulab check"
    return f'give a cell the metadata {{"nbgrader": {{"grade_id": "{wanted.id}"}}}}: gpulab cells'


def grade_id(cell: Cell) -> str | None:
    found = cell["metadata"].get("nbgrader")
    return found.get("grade_id") if isinstance(found, dict) else None


def runs_check(cell: Cell) -> bool:
    return cell["cell_type"] == "code" and "gpulab check" in "".join(cell["source"])


def read(exercise: Exercise) -> Notebook:
    path = exercise.folder / NOTEBOOK
    try:
        found = json.loads(path.read_bytes())
        for each in found["cells"]:
            each["metadata"], each["cell_type"], each["source"]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "put it there") from error
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a notebook: {error}", "save it in JupyterLab") from error
    assert isinstance(found, dict)  # else there was no found["cells"]
    return found


def write(exercise: Exercise) -> bool:
    """Put the metadata in step with checks and quiz; False if it was."""
    before = read(exercise)
    after = marked(before, exercise)
    if after != before:
        path: Path = exercise.folder / NOTEBOOK
        text = json.dumps(after, ensure_ascii=False, indent=1, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
    return after != before


def marks(report: Report) -> Mapping[str, float | None]:
    """Points by cell; None where a person must look, for a mark is never made of a fault."""
    manual = {each.name: 0.0 if each.seen == NOT_ANSWERED else None for each in report.manual}
    return {**machine_marks(report), **manual}


def machine_marks(report: Report) -> dict[str, float | None]:
    """A failed guard takes the points of every cell, a broken one leaves them open."""
    guards = {each.outcome for each in report.guards}
    cells = dict.fromkeys(each.cell or CHECK for each in report.results)
    if Outcome.FAILED in guards:
        return dict.fromkeys(cells, 0.0)
    if guards & {Outcome.BROKEN, Outcome.NOT_YET}:
        return dict(cells)
    return {cell: points_of(report, cell) for cell in cells}


def points_of(report: Report, cell: str) -> float | None:
    results = [each for each in report.results if (each.cell or CHECK) == cell]
    if any(each.outcome is Outcome.BROKEN for each in results):
        return None
    return float(round(sum(each.points for each in results), 2))
