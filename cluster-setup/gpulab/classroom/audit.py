"""Whether verdicts and gradebook are what the grader wrote."""

from __future__ import annotations

from collections.abc import Iterator

from autograders import cells
from autograders.errors import InputError
from gpulab.classroom import gradebook, store
from gpulab.classroom.folder import Classroom


def faults(room: Classroom) -> Iterator[str]:
    """One line for each verdict that was not signed so, and each row that says otherwise."""
    public = store.key(room).public_key()
    written = gradebook.machine_marks(room)
    for path in sorted(room.verdicts.glob("*/*.json")):
        where, row = f"{path.parent.name}, {path.stem}", (path.parent.name, path.stem)
        marks = written.pop(row, None)
        try:
            found = store.signed(path)
        except InputError:
            found = None
        if found is None or not store.is_genuine(public, found):
            yield f"{where}: the verdict is not the grader's"
            continue
        verdict = found.verdict
        if (verdict.exercise, verdict.learner) != row:
            yield f"{where}: the verdict is on {verdict.learner}, {verdict.exercise}"
            continue
        yield from other_marks(verdict, marks)
    for (exercise, learner), marks in sorted(written.items()):
        if any(marks.values()):
            yield f"{exercise}, {learner}: the gradebook has marks, and there is no verdict"


def other_marks(verdict: store.Verdict, written: dict[str, float | None] | None) -> Iterator[str]:
    """Where the gradebook's rows differ from the verdict."""
    where = f"{verdict.exercise}, {verdict.learner}"
    if written is None:
        yield f"{where}: the gradebook has no row; gpulab grade writes it"
        return
    wanted = cells.marks(verdict.report) if verdict.report else {}
    for cell, mark in written.items():
        if mark != (ours := wanted.get(cell)):
            yield f"{where}: {cell} has {mark} in the gradebook and {ours} in the verdict"
