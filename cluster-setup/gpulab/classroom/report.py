"""`gpulab report`: one HTML page that needs nothing else, and a CSV of what is in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from gpulab.classroom import roster, statistics, store
from gpulab.classroom.folder import EXERCISES, Classroom
from gpulab.classroom.statistics import Item
from gpulab.classroom.store import Verdict

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } caption { text-align: left; font-weight: 600 }
th, td { border: 1px solid #bbb; padding: .2rem .5rem; text-align: left; vertical-align: top }
td.n { text-align: right } .scroll { overflow-x: auto }
.full { background: #d4edda } .part { background: #fff3cd } .none { background: #f8d7da }
"""
LARGEST = 64 * 1024
"""Bytes of a hand-in that are compared."""


def by_exercise(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    found: dict[str, list[Verdict]] = {}
    for each in verdicts:
        found.setdefault(each.exercise, []).append(each)
    return found


def page(room: Classroom) -> str:
    """The whole page; every word of a learner is escaped."""
    groups = by_exercise(store.all_of(room))
    parts = [f"<h1>{escape(room.settings.name)}</h1>", class_table(room, groups)]
    parts.append(people(groups))
    for name, verdicts in groups.items():
        parts += [f"<h2>{escape(name)}</h2>", heat_map(verdicts), item_table(verdicts)]
    parts += [pairs(room, groups), stages(groups)]
    head = f"<title>{escape(room.settings.name)}: report</title><style>{STYLE}</style>"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    return f'<!doctype html><html lang="en"><head>{meta}{head}</head><body>{"".join(parts)}</body>'


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already."""
    top = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    lines = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def cell(text: str, kind: str = "") -> str:
    return f'<td class="{kind}">{escape(text)}</td>'


def row_head(text: str) -> str:
    return f'<th scope="row">{escape(text)}</th>'


def class_table(room: Classroom, groups: dict[str, list[Verdict]]) -> str:
    found = {(v.learner, name): v for name, group in groups.items() for v in group}
    rows = [
        [
            row_head(one.name),
            cell(one.id),
            *(mark(found.get((one.id, name))) for name in groups),
        ]
        for one in roster.read(room).values()
    ]
    return table("Machine's marks, before lateness", ["learner", "id", *groups], rows)


def mark(verdict: Verdict | None) -> str:
    if verdict is None:
        return cell("not handed in")
    if verdict.report is None:
        return cell(verdict.ending, "none")
    text = f"{verdict.report.score:g} of {verdict.report.max_score:g}"
    return cell(text, shade(verdict.report.score, verdict.report.max_score))


def shade(points: float, most: float) -> str:
    return "full" if points >= most else "part" if points > 0 else "none"


def people(groups: dict[str, list[Verdict]]) -> str:
    rows = [
        [row_head(each.learner), cell(each.exercise), cell(each.ending), cell(each.why)]
        for group in groups.values()
        for each in statistics.open_ones(group)
    ]
    return table("Not graded", ["learner", "exercise", "ending", "why"], rows)


def heat_map(verdicts: Sequence[Verdict]) -> str:
    """Checks across, learners down; the text says what the colour shows."""
    names = [each.name for each in statistics.items(verdicts)]
    rows = []
    for each in verdicts:
        found = {one.name: one for one in statistics.results(each)}
        cells = [
            cell(f"{found[name].points:g}", shade(found[name].points, found[name].max_points))
            if name in found
            else cell("")
            for name in names
        ]
        rows.append([row_head(each.learner), *cells])
    return table("Points by check", ["learner", *names], rows)


def item_table(verdicts: Sequence[Verdict]) -> str:
    head = ["check", "decided", "difficulty", "discrimination", "commonest failure"]
    rows = [
        [row_head(each.name), *(cell(text) for text in words(each))]
        for each in statistics.items(verdicts)
    ]
    return table("Difficulty: mean share of the points. Discrimination: Pearson's r", head, rows)


def words(one: Item) -> tuple[str, str, str, str]:
    r = "" if one.discrimination is None else f"{one.discrimination:.2f}"
    return str(one.answered), f"{one.difficulty:.2f}", r, one.commonest


def pairs(room: Classroom, groups: dict[str, list[Verdict]]) -> str:
    rows = [
        [row_head(p.exercise), cell(p.one), cell(p.other), cell(f"{p.share:.0%}")]
        for p in statistics.alike({name: texts(room, name) for name in groups})
    ]
    return table("Alike beyond what is usual; a hint, not a finding", ["", "", "", "share"], rows)


def texts(room: Classroom, exercise: str) -> dict[str, str]:
    """Of each learner, everything of which a mark is made."""
    from autograders.load import load_exercise

    names = [*load_exercise(EXERCISES / exercise).settings.files, "commands.sh"]
    found: dict[str, str] = {}
    for folder in sorted(room.submitted.glob(f"*/{exercise}")):
        files = [folder / name for name in dict.fromkeys(names)]
        found[folder.parent.name] = "\n".join(
            each.read_bytes()[:LARGEST].decode(errors="replace") for each in files if each.is_file()
        )
    return found


def stages(groups: dict[str, list[Verdict]]) -> str:
    rows = [
        [row_head(name), cell(stage), cell(f"{seconds:.1f}", "n")]
        for name, group in groups.items()
        for stage, seconds in statistics.seconds(group).items()
    ]
    return table("Seconds by stage", ["exercise", "stage", "seconds"], rows)


def as_csv(room: Classroom) -> str:
    """One line for each check of each hand-in."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "exercise", "ending", "check", "outcome", "points", "max_points"])
    for each in store.all_of(room):
        for one in statistics.results(each) or ():
            what = (one.name, one.outcome, f"{one.points:g}", f"{one.max_points:g}")
            writer.writerow([each.learner, each.exercise, each.ending, *what])
        if not each.report:
            writer.writerow([each.learner, each.exercise, each.ending, "", "", "", ""])
    return out.getvalue()


def write(room: Classroom) -> Path:
    from gpulab.private import write_private

    write_private(room.root / "report.csv", as_csv(room).encode())
    path = room.root / "report.html"
    write_private(path, page(room).encode("utf-8", "replace"))
    return path
