"""The commands below `gpulab checkpoint`, their options and their words."""

from __future__ import annotations

from typing import Annotated

import typer

from gpulab.cli.options import DEFAULT_NAME, Json, Name

checkpoints = typer.Typer(help="Keep the cluster's state under a name, and go back to it.")
Checkpoint = Annotated[str, typer.Argument(help="Its name, as in before-drain.")]


@checkpoints.command()
def save(checkpoint: Checkpoint, name: Name = DEFAULT_NAME) -> None:
    """Keep everything that the cluster knows now."""
    from gpulab.cli import checkpoint as command

    command.save(checkpoint, name)


@checkpoints.command()
def restore(
    checkpoint: Checkpoint,
    name: Name = DEFAULT_NAME,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not list, do not ask.")] = False,
) -> None:
    """Go back, after listing what that undoes; done when a new Pod runs."""
    from gpulab.cli import checkpoint as command

    command.restore(checkpoint, name, yes=yes)


@checkpoints.command("list")
def list_(name: Name = DEFAULT_NAME, json: Json = False) -> None:
    """Show the lab's checkpoints, the oldest first."""
    from gpulab.cli import checkpoint as command

    command.listing(name, json=json)


@checkpoints.command()
def delete(checkpoint: Checkpoint, name: Name = DEFAULT_NAME) -> None:
    """Remove one."""
    from gpulab.cli import checkpoint as command

    command.delete(checkpoint, name)
