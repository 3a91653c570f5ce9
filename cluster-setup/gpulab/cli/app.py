"""Every command, its options and its words. What a command does is imported when it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    help="Kubernetes for AI infrastructure: a lab with simulated GPU nodes, exercises, grading.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEFAULT_NAME = os.environ.get("GPULAB_NAME", "lab")
Name = Annotated[str, typer.Option(help="The lab, if you have several.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Exercise = Annotated[str, typer.Argument(help="Its number or name: 01, deploy-gpu-pod.")]
Fleet = Annotated[str, typer.Option(help="Which nodes: a file of cluster-setup/fleets/.")]
Kubeconfig = Annotated[
    Optional[Path],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="Grade this cluster instead of the lab; it is only read."),
]


@app.command()
def up(name: Name = DEFAULT_NAME, fleet: Fleet = "default") -> None:
    """Start or resume the lab; done when a new Pod runs."""
    from gpulab.cli import lab

    lab.up(name, fleet)


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
) -> None:
    """Start or resume the lab and open JupyterLab; Ctrl-C stops JupyterLab only."""
    from gpulab.cli import notebooks

    notebooks.lab(name, fleet, browser=browser, detach=detach, port=port)


@app.command()
def start(exercise: Exercise, name: Name = DEFAULT_NAME) -> None:
    """Give you an exercise's starting state."""
    from gpulab.cli import exercises

    exercises.start(exercise, name)


@app.command()
def check(
    exercise: Exercise,
    name: Name = DEFAULT_NAME,
    kubeconfig: Kubeconfig = None,
    json: Json = False,
) -> int:
    """Grade an exercise as the cluster stands now; exit code 1 unless full marks."""
    from gpulab.cli import exercises

    return exercises.check(exercise, name, kubeconfig, json=json)
