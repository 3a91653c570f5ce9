"""Options that several commands have."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional

import typer


@dataclass(frozen=True)
class Choice:
    """What was said about a new lab's provider."""

    provider: str | None = None
    node_image: str | None = None
    """With kind."""
    context: str | None = None
    """With existing."""
    yes: bool = False
    """With existing: it is meant."""


DEFAULT_NAME = os.environ.get("GPULAB_NAME", "lab")
Name = Annotated[str, typer.Option(help="The lab, if you have several.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Exercise = Annotated[str, typer.Argument(help="Its number or name: 01, deploy-gpu-pod.")]
Fleet = Annotated[str, typer.Option(help="Which nodes: a file of cluster-setup/fleets/.")]
Source = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(
        metavar="download|build|FOLDER",
        help="Where programs that are not there yet come from; default: $GPULAB_SOURCE, else "
        "download, and build what cannot be had so.",
    ),
]
Kubeconfig = Annotated[
    Optional[Path],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="This cluster instead of the lab; it is only read."),
]
Provider = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(
        metavar="embedded|kind|existing",
        help="Of a new lab: kind adds real containers and needs Docker, existing is a cluster that "
        "you have; default: $GPULAB_PROVIDER, else the last one asked for, else embedded.",
    ),
]
NodeImage = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(
        metavar="IMAGE",
        help="With kind: what its nodes are made of; default: $GPULAB_NODE_IMAGE, else kind's own.",
    ),
]
Context = Annotated[
    Optional[str],  # noqa: UP045 (typer reads it at run time)
    typer.Option(help="With existing: which context of $KUBECONFIG; default: the current one."),
]
