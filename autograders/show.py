"""The one module that speaks: a Report for a terminal, for a notebook, for a program."""

from __future__ import annotations

import dataclasses
import html as markup
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autograders.model import ManualMark, Outcome, Report, Result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MARKS = {
    Outcome.PASSED: ("✓", "passed", "green"),
    Outcome.FAILED: ("✗", "failed", "red"),
    Outcome.NOT_YET: ("…", "not yet", "yellow"),
    Outcome.BROKEN: ("!", "broken", "magenta"),
}


def json(report: Report) -> dict[str, Any]:
    """Only what JSON knows: dicts, lists, texts, floats."""
    checks = [as_dict(each) for each in report.results]
    guards = [as_dict(each) for each in report.guards]
    top = {
        field.name: getattr(report, field.name)
        for field in dataclasses.fields(report)
        if field.name not in ("results", "guards", "warnings", "manual")
    }
    manual = [dataclasses.asdict(each) for each in report.manual]
    notes = list(report.warnings)
    return {**top, "checks": checks, "guards": guards, "manual": manual, "warnings": notes}


def as_dict(result: Result) -> dict[str, Any]:
    return {**dataclasses.asdict(result), "outcome": result.outcome.value}


def text(report: Report) -> RenderableType:
    """For `rich.console.Console.print`; words beside every mark, so that no colour is needed."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for result, lines in to_show(report):
        add_result(grid, result, lines)
    for mark in report.manual:
        grid.add_row(Text(BY_HAND), Text(manual_headline(mark, report.self_marked)))
        for line in manual_body(mark):
            grid.add_row("", Text(plain(line), style="dim"))
    title = Text(f"{report.title} ({report.exercise})", style="bold")
    notes = [Text(plain(f"note: {each}")) for each in report.warnings]
    return Group(title, grid, *notes, Text(score_line(report), style="bold"))


def add_result(grid: Table, result: Result, lines: list[str]) -> None:
    from rich.text import Text

    mark, word, colour = MARKS[result.outcome]
    grid.add_row(Text(f"{mark} {word}", style=colour), Text(headline(result)))
    for line in lines:
        grid.add_row("", Text(plain(line), style="" if result.next else "dim"))


def to_show(report: Report) -> Iterator[tuple[Result, list[str]]]:
    """Each result with its lines; guards speak only when they do not hold.

    One cause often fails several checks: its words are printed once.
    """
    told: dict[tuple[str, str], str] = {}
    alarming = [each for each in report.guards if each.outcome is not Outcome.PASSED]
    for result in (*alarming, *report.results):
        first = told.setdefault((result.seen, result.next), result.name)
        repeats = result.next and first != result.name
        yield result, [f"seen: as for {first}"] if repeats else list(body(result))


def headline(result: Result) -> str:
    if not result.max_points:
        return f"{result.name} (guard)"
    points = f"{result.points:g}/{result.max_points:g}"
    return f"{result.name}  {points}  [{result.fidelity}]"


def body(result: Result) -> Iterator[str]:
    if result.seen:
        yield f"seen: {result.seen}" if result.next else result.seen
    if result.next:
        yield f"next: {result.next}"


def manual_headline(mark: ManualMark, own: bool) -> str:
    """What is marked by a person stands apart, and no sum has it."""
    if mark.points is None:
        return f"{mark.name}  not marked yet, of {mark.max_points:g}"
    who = "you gave yourself" if own else "a person gave"
    return f"{mark.name}  {who} {mark.points:g}/{mark.max_points:g}"


def manual_body(mark: ManualMark) -> Iterator[str]:
    yield mark.seen
    yield from (f"- {each}" for each in mark.rubric)


def manual_line(report: Report) -> str:
    if report.self_marked:
        return f"self-marked {report.manual_score:g} of {report.manual_max:g}, not in the score"
    if report.manual_score or any(each.points is not None for each in report.manual):
        return f"a person gave {report.manual_score:g} of {report.manual_max:g}"
    return f"{report.manual_max:g} points more are for a person to give"


def score_line(report: Report) -> str:
    """The mark, and whatever it must not be read without."""
    parts = [f"Score {report.score:g} of {report.max_score:g}"]
    if any(each.outcome is Outcome.FAILED for each in report.guards):
        parts.append("a guard failed, which takes all points")
    if report.undecided:
        parts.append(f"points not decided: {report.undecided:g}")
    if report.manual_max:
        parts.append(manual_line(report))
    if report.speed != 1:
        parts.append(f"simulation at {report.speed:g} times the speed")
    return "; ".join(parts)


def plain(line: str) -> str:
    """Without control characters: a log or an answer must not drive the terminal."""
    return "".join(each if each.isprintable() else " " for each in line)


BY_HAND = "✎ by hand"
STYLE = """
.gpulab-report { font: inherit; color: inherit; max-width: 52rem; }
.gpulab-report ol { list-style: none; margin: .5rem 0; padding: 0; }
.gpulab-report li { border-left: .25rem solid; padding: .1rem .75rem; margin: .5rem 0; }
.gpulab-report p { margin: .15rem 0; overflow-wrap: anywhere; }
.gpulab-report .passed { border-color: #2da44e; } .gpulab-report .failed { border-color: #e5534b; }
.gpulab-report .not-yet { border-color: #c69026; } .gpulab-report .broken { border-color: #b083f0; }
"""
"""Only border colours are set: text keeps the notebook's own colours, light or dark."""


def html(report: Report) -> str:
    """One self-contained fragment; everything that was read is escaped."""
    title = markup.escape(plain(f"{report.title} ({report.exercise})"))
    items = "".join(item(result, lines) for result, lines in to_show(report))
    items += "".join(manual_item(each, report.self_marked) for each in report.manual)
    notes = "".join(f"<p>note: {markup.escape(plain(each))}</p>" for each in report.warnings)
    score = markup.escape(score_line(report))
    return (
        f'<section class="gpulab-report" aria-label="Report"><style>{STYLE}</style>'
        f"<p><strong>{title}</strong></p><ol>{items}</ol>{notes}"
        f"<p><strong>{score}</strong></p></section>"
    )


def item(result: Result, lines: list[str]) -> str:
    mark, word, _ = MARKS[result.outcome]
    head = markup.escape(headline(result))
    inner = "".join(f"<p>{markup.escape(plain(each))}</p>" for each in lines)
    return (
        f'<li class="{result.outcome}"><p><span aria-hidden="true">{mark}</span> '
        f"<strong>{word}</strong> {head}</p>{inner}</li>"
    )


def manual_item(mark: ManualMark, own: bool) -> str:
    head = markup.escape(manual_headline(mark, own))
    inner = "".join(f"<p>{markup.escape(plain(each))}</p>" for each in manual_body(mark))
    return f"<li><p><strong>{BY_HAND}</strong> {head}</p>{inner}</li>"
