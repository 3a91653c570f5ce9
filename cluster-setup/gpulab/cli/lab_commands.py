"""Commands about the lab, their options and their words."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from gpulab.cli.options import (
    DEFAULT_NAME,
    Choice,
    Context,
    Fleet,
    Json,
    Kubeconfig,
    Name,
    NodeImage,
    Provider,
    Source,
)
from gpulab.cli.root import app

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
    """Let something go wrong; what is seen of it follows by itself."""
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
