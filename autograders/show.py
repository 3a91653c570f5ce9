"""The one module that speaks: a Report for a terminal, for a notebook, for a program."""

from __future__ import annotations

import dataclasses
import html as markup
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autograders.model import Outcome, Report, Result

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

MARKS = {
    Outcome.PASSED: ("✓", "green"),
    Outcome.FAILED: ("✗", "red"),
    Outcome.NOT_YET: ("…", "yellow"),
    Outcome.BROKEN: ("!", "magenta"),
}


def json(report: Report) -> dict[str, Any]:
    """Only what JSON knows: dicts, lists, texts, floats."""
    checks = [as_dict(each) for each in report.results]
    guards = [as_dict(each) for each in report.guards]
    top = {
        field.name: getattr(report, field.name)
        for field in dataclasses.fields(report)
        if field.name not in ("results", "guards", "warnings")
    }
    return {**top, "checks": checks, "guards": guards, "warnings": list(report.warnings)}


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
    for result in to_show(report):
        add_result(grid, result)
    title = Text(f"{report.title} ({report.exercise})", style="bold")
    notes = [Text(plain(f"note: {each}")) for each in report.warnings]
    return Group(title, grid, *notes, Text(score_line(report), style="bold"))


def add_result(grid: Table, result: Result) -> None:
    from rich.text import Text

    mark, colour = MARKS[result.outcome]
    grid.add_row(Text(f"{mark} {result.outcome.value}", style=colour), Text(headline(result)))
    for line in body(result):
        grid.add_row("", Text(plain(line), style="" if result.next else "dim"))


def to_show(report: Report) -> tuple[Result, ...]:
    """Guards speak only when they do not hold."""
    alarming = [each for each in report.guards if each.outcome is not Outcome.PASSED]
    return (*alarming, *report.results)


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


def score_line(report: Report) -> str:
    """The mark, and whatever it must not be read without."""
    parts = [f"Score {report.score:g} of {report.max_score:g}"]
    if any(each.outcome is Outcome.FAILED for each in report.guards):
        parts.append("a guard failed, which takes all points")
    if report.undecided:
        parts.append(f"{report.undecided:g} points are not decided")
    if report.manual_max:
        parts.append(f"a person gave {report.manual_score:g} of {report.manual_max:g}")
    if report.speed != 1:
        parts.append(f"simulation at {report.speed:g} times the speed")
    return "; ".join(parts)


def plain(line: str) -> str:
    """Without control characters: a log or an answer must not drive the terminal."""
    return "".join(each if each.isprintable() else " " for each in line)


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
    items = "".join(item(each) for each in to_show(report))
    notes = "".join(f"<p>note: {markup.escape(plain(each))}</p>" for each in report.warnings)
    score = markup.escape(score_line(report))
    return (
        f'<section class="gpulab-report" aria-label="Report"><style>{STYLE}</style>'
        f"<p><strong>{title}</strong></p><ol>{items}</ol>{notes}"
        f"<p><strong>{score}</strong></p></section>"
    )


def item(result: Result) -> str:
    mark, _ = MARKS[result.outcome]
    outcome = result.outcome.value
    head = markup.escape(headline(result))
    lines = "".join(f"<p>{markup.escape(plain(each))}</p>" for each in body(result))
    return (
        f'<li class="{outcome.replace(" ", "-")}"><p><span aria-hidden="true">{mark}</span> '
        f"<strong>{outcome}</strong> {head}</p>{lines}</li>"
    )
