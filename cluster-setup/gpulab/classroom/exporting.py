"""Marks as the tables that learning platforms take."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

from gpulab.classroom import gradebook, roster
from gpulab.classroom.folder import Classroom
from gpulab.classroom.gradebook import Row
from gpulab.classroom.roster import Learner

Table = tuple[list[str], list[list[str]]]
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run."""


def table(room: Classroom, kind: str) -> str:
    """CSV of the whole class; who handed nothing in has an empty field."""
    learners, rows = roster.expect(room), gradebook.rows(room)
    head, lines = KINDS[kind](learners, rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[safe(each) for each in line] for line in lines])
    return out.getvalue()


def safe(text: str) -> str:
    """A name is never a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


def marks(rows: Sequence[Row]) -> tuple[list[str], dict[tuple[str, str], str]]:
    names = sorted({each.exercise for each in rows})
    return names, {(each.learner, each.exercise): f"{each.score:g}" for each in rows}


def plain(learners: Mapping[str, Learner], rows: Sequence[Row]) -> Table:
    """One line for each mark, with what it is made of."""
    head = ["id", "exercise", "score", "max_score", "late_penalty", "needs_person"]
    lines = [
        [
            each.learner,
            each.exercise,
            f"{each.score:g}",
            f"{each.max_score:g}",
            f"{each.penalty:g}",
            "yes" if each.needs_person else "",
        ]
        for each in rows
        if each.learner in learners
    ]
    return head, lines


def moodle(learners: Mapping[str, Learner], rows: Sequence[Row]) -> Table:
    """A column for each exercise, learners by their username."""
    names, found = marks(rows)
    lines = [
        [each.id, each.email, *(found.get((each.id, name), "") for name in names)]
        for each in learners.values()
    ]
    return ["username", "email", *names], lines


def canvas(learners: Mapping[str, Learner], rows: Sequence[Row]) -> Table:
    """The columns of Canvas' own export, which it takes back."""
    names, found = marks(rows)
    lines = [
        [
            f"{each.last_name}, {each.first_name}".strip(", ") or each.id,
            "",
            each.id,
            "",
            *(found.get((each.id, name), "") for name in names),
        ]
        for each in learners.values()
    ]
    return ["Student", "ID", "SIS Login ID", "Section", *names], lines


KINDS: dict[str, Callable[[Mapping[str, Learner], Sequence[Row]], Table]] = {
    "plain": plain,
    "moodle": moodle,
    "canvas": canvas,
}
