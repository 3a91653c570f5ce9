"""Other nodes for a lab, once its owner agrees."""

from __future__ import annotations

import sys

import typer

from autograders.errors import InputError
from gpulab.cli.lab import err
from gpulab.lab import Record
from gpulab.paths import LabPaths


def replace(paths: LabPaths, record: Record, fleet: str, command: str, *, yes: bool) -> None:
    """Ask, unless told; `command` is what asked for it."""
    from gpulab import given, lifecycle, probing

    what = "other nodes are needed; the lab's nodes go, with every Pod on them"
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(what, f"if nothing on them is needed: gpulab {command} --yes")
        err.print(what, highlight=False)
        typer.confirm("Replace them?", abort=True)
    probing.mend(paths)
    with err.status("Replacing the nodes"):
        lifecycle.swap(paths, record, fleet)
    given.forget_all(paths)
