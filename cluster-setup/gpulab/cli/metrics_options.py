"""The commands below `gpulab metrics`, their options and their words."""

from __future__ import annotations

import typer

from gpulab.cli.options import DEFAULT_NAME, Json, Name

metrics = typer.Typer(help="What the GPUs do, under the names of NVIDIA's dcgm-exporter.")


@metrics.command()
def start(name: Name = DEFAULT_NAME) -> None:
    """Serve them, for Prometheus and for you; print where."""
    from gpulab.cli import metrics as command

    command.start(name)


@metrics.command()
def stop(name: Name = DEFAULT_NAME) -> None:
    """Serve them no longer."""
    from gpulab.cli import metrics as command

    command.stop(name)


@metrics.command()
def show(name: Name = DEFAULT_NAME, json: Json = False) -> None:
    """Show each GPU: who holds it, and how much of it is used."""
    from gpulab.cli import metrics as command

    command.show(name, json=json)


@metrics.command()
def text(name: Name = DEFAULT_NAME) -> None:
    """Print them as they are served, in Prometheus' text format."""
    from gpulab.cli import metrics as command

    command.text(name)


@metrics.command()
def config(name: Name = DEFAULT_NAME) -> None:
    """Print a prometheus.yml that scrapes them: prometheus --config.file=FILE."""
    from gpulab.cli import metrics as command

    command.config(name)
