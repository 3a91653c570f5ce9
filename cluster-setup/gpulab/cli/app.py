"""Every command, its options and its words. What a command does is imported when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from gpulab.cli.checkpoint_options import checkpoints
from gpulab.cli.options import (
    DEFAULT_NAME,
    Choice,
    Context,
    Exercise,
    Fleet,
    Json,
    Kubeconfig,
    Name,
    NodeImage,
    Provider,
    Source,
)

app = typer.Typer(
    help="Kubernetes for AI infrastructure: a lab with simulated GPU nodes, exercises, grading.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(checkpoints, name="checkpoint", no_args_is_help=True)

Fault = Annotated[str, typer.Argument(help="Its name, as `gpulab faults` lists them.")]
Node = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="Which node; default: the first one that has GPUs."),
]
Component = Annotated[str, typer.Argument(help="scheduler or controller-manager.")]


@app.command()
def up(
    name: Name = DEFAULT_NAME,
    fleet: Fleet = "default",
    speed: Annotated[
        float, typer.Option(min=0.1, max=100, help="Divides pulls, back-off, driver installs.")
    ] = 1.0,
    source: Source = None,
    provider: Provider = None,
    node_image: NodeImage = None,
    context: Context = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="With existing: do not ask whether it is meant.")
    ] = False,
) -> None:
    """Start or resume the lab; done when a new Pod runs."""
    from gpulab.cli import lab

    lab.up(name, fleet, speed, source, Choice(provider, node_image, context, yes))


@app.command()
def down(
    name: Name = DEFAULT_NAME,
    delete: Annotated[bool, typer.Option("--delete", help="Remove the cluster, too.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="With --delete: all labs, ~/gpulab and the binaries.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop JupyterLab and the cluster; keep all state."""
    from gpulab.cli import lab

    lab.down(name, delete=delete, everything=everything, yes=yes)


@app.command()
def status(name: Name = DEFAULT_NAME, json: Json = False) -> int:
    """Show every component with pid, port and health; exit code 1 unless ready."""
    from gpulab.cli import lab

    return lab.status(name, json=json)


@app.command()
def doctor(json: Json = False) -> int:
    """Show what lab, course and tests need here; exit code 1 if something needed is missing."""
    from gpulab.cli import doctor as command

    return command.show(json=json)


@app.command()
def pause(component: Component, name: Name = DEFAULT_NAME) -> None:
    """Stop a part of the control plane, to see what it does; `up` lets it go on, too."""
    from gpulab.cli import pause as command

    command.pause(component, name)


@app.command()
def resume(component: Component, name: Name = DEFAULT_NAME) -> None:
    """Let a paused part of the control plane go on."""
    from gpulab.cli import pause as command

    command.resume(component, name)


@app.command("break")
def break_(fault: Fault, node: Node = None, name: Name = DEFAULT_NAME) -> None:
    """Let something go wrong on a node; what is seen of it follows by itself."""
    from gpulab.cli import faults as command

    command.inject(fault, node, name)


@app.command()
def heal(
    fault: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it at run time)
        typer.Argument(help="Which; without one, all that are at work."),
    ] = None,
    node: Node = None,
    name: Name = DEFAULT_NAME,
) -> None:
    """End faults."""
    from gpulab.cli import faults as command

    command.heal(fault, node, name)


@app.command()
def faults(name: Name = DEFAULT_NAME, json: Json = False) -> None:
    """List the faults that can be injected, and where one is at work."""
    from gpulab.cli import faults as command

    command.listing(name, json=json)


@app.command()
def kubeconfig(name: Name = DEFAULT_NAME) -> None:
    """Print the path of the lab's kubeconfig."""
    from gpulab.cli import lab

    lab.kubeconfig(name)


@app.command("lab")
def lab_(
    name: Name = DEFAULT_NAME,
    fleet: Fleet = "default",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it.")] = True,
    detach: Annotated[bool, typer.Option("--detach", help="Return once it serves.")] = False,
    port: Annotated[
        Optional[int],  # noqa: UP045 (typer reads it at run time)
        typer.Option(min=1024, max=65535, help="JupyterLab's port; default: the first free."),
    ] = None,
    source: Source = None,
    provider: Provider = None,
    node_image: NodeImage = None,
) -> None:
    """Start or resume the lab and open JupyterLab; Ctrl-C stops JupyterLab only."""
    from gpulab.cli import lab, notebooks

    lab.up(name, fleet, source=source, choice=Choice(provider, node_image))
    notebooks.lab(name, browser=browser, detach=detach, port=port)


@app.command("map")
def map_(
    name: Name = DEFAULT_NAME,
    kubeconfig: Kubeconfig = None,
    uuids: Annotated[bool, typer.Option("--uuids", help="List devices and their health.")] = False,
    json: Json = False,
) -> None:
    """Draw nodes and their GPUs: who holds which, what is free, what is unhealthy."""
    from gpulab.cli import map as command

    command.show(name, kubeconfig, uuids=uuids, json=json)


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
