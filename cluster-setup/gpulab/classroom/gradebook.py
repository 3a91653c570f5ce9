"""The class's gradebook: all that gpulab asks of nbgrader's API, one session for a batch.

No submission is executed and no cell's output is a mark: rows come from verdicts, and what
formgrader shows is the released notebook with the learner's texts and our feedback in it.
"""

from __future__ import annotations

import copy
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograders import cells
from autograders.errors import InputError
from autograders.load import load_exercise
from autograders.show import text as shown
from gpulab.classroom import roster
from gpulab.classroom.folder import EXERCISES, Classroom
from gpulab.classroom.nbgrader_settings import configure
from gpulab.classroom.store import Verdict
from gpulab.paths import private_dir
from gpulab.private import write_private

INSTALL = "install it: pip install 'gpulab[class]' (or make lab, which does)"
NOTEBOOK = "exercise"
DAY = 24 * 60 * 60
KEEPS = "nothing was lost: verdicts are kept; then again: gpulab grade"


@dataclass(frozen=True)
class Row:
    """One learner's mark of one exercise."""

    learner: str
    exercise: str
    earned: float
    """Points, before lateness."""
    max_score: float
    penalty: float
    """Points that lateness took."""
    needs_person: bool

    @property
    def score(self) -> float:
        return round(self.earned - self.penalty, 2)


@contextmanager
def session(room: Classroom) -> Iterator[Any]:
    """Nbgrader's Gradebook, closed and rolled back whatever happens."""
    try:
        from nbgrader.api import Gradebook
    except ImportError:
        raise InputError("nbgrader is not installed", INSTALL) from None
    from sqlalchemy.exc import DBAPIError

    os.environ["PATH"] = path_with_alembic()
    try:
        with Gradebook(room.db_url, course_id=room.settings.name) as book:
            with book.db.no_autoflush:
                yield book
            book.db.commit()
    except DBAPIError as error:
        said = str(error.orig or error).splitlines()[0]
        raise InputError(f"the gradebook cannot be written: {said}", KEEPS) from error


def path_with_alembic() -> str:
    """A PATH on which nbgrader finds the program that it makes a database with."""
    own, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    return path if own in path.split(os.pathsep) else f"{own}{os.pathsep}{path}"


def open_assignment(room: Classroom, name: str) -> None:
    """Make the assignment with its due date, and everybody of the roster."""
    due = room.settings.due.get(name)
    with session(room) as book:
        more = {"duedate": due.isoformat()} if due else {}
        book.update_or_create_assignment(name, **more)
        for each in roster.read(room).values():
            add_student(book, each)


def generate(room: Classroom, name: str) -> None:
    """Run nbgrader's `generate_assignment`, which also makes the rows that marks go into."""
    from nbgrader.apps.api import NbGraderAPI
    from traitlets.config import Config

    config = Config()
    configure(config, str(room.root), room.settings.name)
    done = NbGraderAPI(config=config).generate_assignment(name, force=True)
    if not done["success"]:
        said = (done.get("log") or done.get("error") or "nothing").strip().splitlines()[-1]
        do = f"mend the notebook of {name}, then release it again"
        raise InputError(f"nbgrader made no release of {name}: {said}", do)


def add_student(book: Any, one: roster.Learner) -> None:
    known = {"first_name": one.first_name, "last_name": one.last_name, "email": one.email}
    book.update_or_create_student(one.id, **{key: text for key, text in known.items() if text})


def write(room: Classroom, verdicts: Sequence[Verdict]) -> None:
    """Write marks, and the notebooks that formgrader and the feedback show."""
    with session(room) as book:
        learners, released = roster.read(room), {}
        for verdict in verdicts:
            if verdict.learner not in learners:
                continue
            if verdict.exercise not in released:
                released[verdict.exercise] = expect_released(room, book, verdict.exercise)
            write_one(book, room, learners[verdict.learner], verdict)
            write_notebook(room, verdict, released[verdict.exercise])


def expect_released(room: Classroom, book: Any, name: str) -> dict[str, Any]:
    """The released notebook, whose cells the gradebook has rows for."""
    path = room.release / name / cells.NOTEBOOK
    assignments = {each.name for each in book.assignments}
    if not path.is_file() or name not in assignments:
        raise InputError(f"{name} has not been released", f"gpulab release {name}")
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def write_one(book: Any, room: Classroom, learner: roster.Learner, verdict: Verdict) -> None:
    add_student(book, learner)
    submission = book.update_or_create_submission(
        verdict.exercise, learner.id, timestamp=verdict.handed_in_at
    )
    points = cells.marks(verdict.report) if verdict.report else {}
    for notebook in submission.notebooks:
        for grade in notebook.grades:
            fill(grade, points, verdict)
        for comment in notebook.comments:
            comment.auto_comment = None if comment.name in verdict.texts else "No response."
        notebook.late_submission_penalty = penalty(room, verdict)


def fill(grade: Any, points: Any, verdict: Verdict) -> None:
    """Without points a person must look; one who has marked it before is asked again."""
    earned = points.get(grade.name)
    if earned is not None and earned > grade.max_score:
        what = f"the verdict has {earned} points for {grade.name}, of {grade.max_score}"
        raise InputError(what, f"the exercise has changed: gpulab release {verdict.exercise}")
    changed = grade.auto_score != earned
    grade.auto_score = earned
    grade.needs_manual_grade = (earned is None and grade.manual_score is None) or (
        changed and grade.manual_score is not None
    )


def penalty(room: Classroom, verdict: Verdict) -> float | None:
    """Points that lateness costs: a share of what was earned for each day that has begun."""
    due = room.settings.due.get(verdict.exercise)
    if due is None or verdict.report is None or not room.settings.late_percent_per_day:
        return None
    import datetime as dt

    late = (dt.datetime.fromisoformat(verdict.handed_in_at) - due).total_seconds()
    days = -(-late // DAY) if late > 0 else 0
    share = min(1.0, days * room.settings.late_percent_per_day / 100)
    return round(verdict.report.score * share, 2) or None


def write_notebook(room: Classroom, verdict: Verdict, released: dict[str, Any]) -> None:
    """What formgrader shows: cells of the release, so that no hand-in can spoil it."""
    notebook = copy.deepcopy(released)
    exercise = load_exercise(EXERCISES / verdict.exercise)
    by_hand = {each.id for each in exercise.questions if each.by_hand}
    for cell in notebook["cells"]:
        name = cells.grade_id(cell)
        if name in by_hand:
            cell["source"] = verdict.texts.get(name, "*no answer*")
        elif name == cells.CHECK:
            cell["outputs"] = [output(feedback(verdict))]
            cell["execution_count"] = None
    folder = private_dir(room.autograded / verdict.learner / verdict.exercise)
    data = json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True)
    write_private(folder / cells.NOTEBOOK, data.encode("utf-8", "replace"))
    write_private(folder / "timestamp.txt", verdict.handed_in_at.encode())


def output(text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}


def feedback(verdict: Verdict) -> str:
    """Check by check, what was seen and what to try next; what only a grader knows stays out."""
    lines = [] if not verdict.why else [f"{verdict.ending}: {verdict.why}"]
    if verdict.report:
        lines.append(plain(verdict))
    return "\n".join(lines) + "\n"


def plain(verdict: Verdict) -> str:
    from rich.console import Console

    assert verdict.report is not None  # the caller has looked
    import io

    console = Console(file=io.StringIO(), width=100, color_system=None, soft_wrap=True)
    with console.capture() as captured:
        console.print(shown(verdict.report))
    return captured.get()


def rows(room: Classroom) -> list[Row]:
    """Every mark, as the gradebook has it now, those that a person gave included."""
    with session(room) as book:
        return [
            Row(
                one.student_id,
                assignment.name,
                float(one.score),
                float(one.max_score),
                min(float(one.score), late(one)),
                bool(one.needs_manual_grade),
            )
            for assignment in book.assignments
            for one in sorted(assignment.submissions, key=lambda each: each.student_id)
        ]


def late(submission: Any) -> float:
    return float(sum(each.late_submission_penalty or 0.0 for each in submission.notebooks))


def machine_marks(room: Classroom) -> dict[tuple[str, str], dict[str, float | None]]:
    """By exercise and learner: what stands in each cell's row as the machine's mark."""
    with session(room) as book:
        return {
            (assignment.name, one.student_id): {
                grade.name: grade.auto_score
                for notebook in one.notebooks
                for grade in notebook.grades
            }
            for assignment in book.assignments
            for one in assignment.submissions
        }
