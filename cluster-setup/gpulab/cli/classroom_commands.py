"""Commands about a class, their options and their words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from gpulab.cli.options import Exercise, Json
from gpulab.cli.root import app

classes = typer.Typer(help="A class: its folder, its secret, its due dates.")
rosters = typer.Typer(help="Who is in the class.")
app.add_typer(classes, name="class", no_args_is_help=True)
app.add_typer(rosters, name="roster", no_args_is_help=True)

Folder = Annotated[
    Path,
    typer.Option("--folder", envvar="GPULAB_CLASS", help="The class's folder.", show_default=True),
]
HERE = Path("~/gpulab-class")
Exercises = Annotated[
    Optional[list[str]],  # noqa: UP045 (typer reads it at run time)
    typer.Argument(help="Numbers or names; without any, all that the class has."),
]
Learner = Annotated[str, typer.Option(help="Your id in the class's list.")]


@classes.command("init")
def init(
    name: Annotated[str, typer.Option(help="The class's name, as in k8s-101.")],
    folder: Folder = HERE,
    due: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="As in 02=2026-12-01T23:59+01:00; several times."),
    ] = None,
    late_percent: Annotated[
        float, typer.Option(help="What each day late costs, of the points earned.")
    ] = 0.0,
) -> None:
    """Make a class's folder, with a secret of its own."""
    from gpulab.cli import classroom

    classroom.init(folder, name, due or [], late_percent)


@rosters.command("import")
def import_(
    csv: Annotated[Path, typer.Argument(help="With a column id; first_name, last_name, email.")],
    folder: Folder = HERE,
) -> None:
    """Take learners in; who is there already stays."""
    from gpulab.cli import classroom

    classroom.import_roster(folder, csv)


@app.command()
def release(exercises: Exercises = None, folder: Folder = HERE) -> None:
    """Make what learners are given: without solutions and keys, and a zip for each learner."""
    from gpulab.cli import classroom

    classroom.release(folder, exercises or [])


@app.command()
def receive(
    release: Annotated[Path, typer.Argument(help="The folder of an exercise that was fetched.")],
    learner: Learner,
) -> None:
    """Take an exercise that JupyterLab's assignment list has fetched, with your own values."""
    from gpulab.cli import classroom

    classroom.receive(release, learner)


@app.command()
def submit(
    exercise: Exercise,
    learner: Learner,
    to: Annotated[Path, typer.Option(help="Where the zip goes.")] = Path(),
    exchange: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="Instead of a zip: nbgrader's exchange."),
    ] = None,
    course: Annotated[str, typer.Option(help="With --exchange: the class's name.")] = "",
) -> None:
    """Hand an exercise in: say what is missing, else pack it."""
    from gpulab.cli import classroom

    classroom.submit(exercise, learner, to, exchange, course)


@app.command()
def collect(
    zips: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="A folder of zips from a learning platform."),
    ] = None,
    exercise: Annotated[str, typer.Option(help="Which one, if the zips' names do not say.")] = "",
    exchange: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="Instead: nbgrader's exchange."),
    ] = None,
    folder: Folder = HERE,
) -> int:
    """Take hand-ins; exit code 1 if one was refused or fits nobody."""
    from gpulab.cli import classroom

    return classroom.collect(folder, zips, exercise, exchange)


@app.command()
def grade(
    exercises: Exercises = None,
    folder: Folder = HERE,
    students: Annotated[str, typer.Option(help="Only these, as in ada,bob.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Also what is graded already.")] = False,
    reason: Annotated[str, typer.Option(help="With --force: why; kept beside the old mark.")] = "",
    clusters: Annotated[int, typer.Option(min=1, max=8, help="How many at a time.")] = 2,
    json: Json = False,
) -> int:
    """Replay every hand-in on clean clusters; exit code 1 if one was not graded."""
    from gpulab.cli import classroom

    return classroom.grade(
        folder,
        exercises or [],
        students,
        clusters,
        force=force,
        reason=reason,
        json=json,
    )


@app.command()
def report(folder: Folder = HERE) -> None:
    """Write a page about the class: marks, checks, what went wrong, who needs a person; and CSV."""
    from gpulab.cli import classroom

    classroom.report(folder)


@app.command()
def audit(folder: Folder = HERE) -> int:
    """See that verdicts and gradebook are as the grader wrote them; exit code 1 if not."""
    from gpulab.cli import classroom

    return classroom.audit(folder)


@app.command()
def export(
    columns: Annotated[str, typer.Option(metavar="plain|moodle|canvas", help="Whose.")] = "plain",
    to: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="A file; else it is printed."),
    ] = None,
    folder: Folder = HERE,
) -> None:
    """Write everybody's marks as CSV, from the gradebook as it is now."""
    from gpulab.cli import classroom

    classroom.export(folder, columns, to)
