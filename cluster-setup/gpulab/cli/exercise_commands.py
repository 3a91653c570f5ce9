"""Commands about exercises and Pods, their options and their words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from gpulab.cli.options import DEFAULT_NAME, Exercise, Json, Kubeconfig, Name, Provider
from gpulab.cli.root import app


@app.command()
def start(
    exercise: Exercise,
    name: Name = DEFAULT_NAME,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Replace the lab's nodes, if it has other ones.")
    ] = False,
) -> None:
    """Give you an exercise's starting state."""
    from gpulab.cli import exercises

    exercises.start(exercise, name, yes=yes)


@app.command()
def check(
    exercise: Exercise,
    name: Name = DEFAULT_NAME,
    kubeconfig: Kubeconfig = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Apply your files to a clean lab, and grade that.")
    ] = False,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Grade again on every change, until Ctrl-C.")
    ] = False,
) -> int:
    """Grade an exercise as the cluster stands now; exit code 1 unless full marks."""
    from gpulab.cli import exercises
    from gpulab.cli import watch as watching

    if watch:
        return watching.watch(exercise, name, kubeconfig, json=json, replay=replay)
    return exercises.check(exercise, name, kubeconfig, json=json, replay=replay)


@app.command()
def task(exercise: Exercise) -> None:
    """Print an exercise's task, with your own values where they differ between learners."""
    from gpulab.cli import exercises

    exercises.task(exercise)


@app.command()
def variant(
    exercise: Exercise,
    learner: Annotated[str, typer.Option(help="Whose; as in the class's list.")],
    secret_file: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="The class's secret; without one, that of your own folder."),
    ] = None,
) -> None:
    """Show an author one learner's task, key and solution."""
    from gpulab.cli import variants

    variants.show(exercise, learner, secret_file)


@app.command()
def verify(
    exercise: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="Its number or name; without one, every exercise."),
    ] = None,
    report: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="Also write the proof here; .json for a program, else Markdown."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="No cluster: only what rests on the last recording.")
    ] = False,
    seed: Annotated[str, typer.Option(help="Which variant; any text.")] = "verify",
    name: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Option(
            help="In this lab, emptying the exercise's namespace; default: a lab made for it."
        ),
    ] = None,
    provider: Provider = None,
    json: Json = False,
) -> int:
    """Prove that right answers get full marks and wrong ones do not; exit code 1 unless proven."""
    from gpulab.cli import verify as command

    return command.verify(
        exercise, report, offline=offline, seed=seed, name=name, provider=provider, json=json
    )


@app.command(hidden=True)  # for authors
def cells(
    exercise: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="Its number or name; without one, every exercise."),
    ] = None,
) -> None:
    """Write into exercise notebooks which cells a class's gradebook has marks for."""
    from gpulab.cli import cells as command

    command.write(exercise)


@app.command()
def quiz(
    exercise: Exercise,
    listing: Annotated[bool, typer.Option("--list", help="Show questions and answers.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also ask what is answered.")] = False,
    mark: Annotated[
        bool, typer.Option("--mark", help="Mark your own texts against the rubric.")
    ] = False,
) -> None:
    """Answer an exercise's questions in the terminal; leave and go on as you like."""
    from gpulab.cli import quiz as command

    command.quiz(exercise, listing=listing, again=again, mark=mark)


@app.command()
def hint(
    exercise: Exercise,
    more: Annotated[bool, typer.Option("--more", help="Show the next one.")] = False,
) -> None:
    """Show a hint; each one more says more."""
    from gpulab.cli import hint as command

    command.hint(exercise, more=more)


@app.command()
def reset(
    exercise: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="Its number or name: 01, deploy-gpu-pod."),
    ] = None,
    name: Name = DEFAULT_NAME,
    answers: Annotated[bool, typer.Option("--answers", help="Delete your answers, too.")] = False,
    lab: Annotated[
        bool, typer.Option("--lab", help="Instead: the whole lab, as it was when new.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --lab: do not ask.")] = False,
) -> None:
    """Delete what you made in an exercise and give you its starting state again."""
    from gpulab.cli import reset as command

    command.reset(exercise, name, answers=answers, lab=lab, yes=yes)


@app.command()
def why(
    pod: Annotated[str, typer.Argument(help="A Pod; or job/NAME, deployment/NAME …")],
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where it is.")] = "default",
    name: Name = DEFAULT_NAME,
    kubeconfig: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it at run time)
        typer.Option(help="Look at this cluster instead of the lab; it is only read."),
    ] = None,
    json: Json = False,
) -> None:
    """Say why a Pod is where it is, or nowhere: node by node, and what would change that."""
    from gpulab.cli import why as command

    command.show(pod, namespace, name, kubeconfig, json=json)
