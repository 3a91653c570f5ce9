"""`gpulab checkpoint save|restore|list|delete`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from autograders.errors import InputError
from gpulab.cli.lab import err, out

if TYPE_CHECKING:
    from gpulab.lab import Record
    from gpulab.paths import LabPaths

SHOWN = 20


def save(checkpoint: str, name: str) -> None:
    from gpulab import checkpoints, lab

    paths, record = lab.existing(name)
    began = time.monotonic()
    if paths.probing.exists():  # of a trial that was killed; takes time to import
        from gpulab import probing

        probing.mend(paths)
    checkpoints.save_running(paths, record, checkpoint)
    seconds = time.monotonic() - began
    err.print(f"Checkpoint {checkpoint!r} is saved ({seconds:.1f} s).", highlight=False)


def restore(checkpoint: str, name: str, *, yes: bool) -> None:
    """Say what would be lost, ask, go back."""
    from gpulab import checkpoints, lab, lifecycle

    paths, record = lab.existing(name)
    checkpoints.expect_supported(record)
    checkpoints.read(paths, record, checkpoint)
    if not yes:
        _agree(paths, record, checkpoint)
    began = time.monotonic()
    with err.status(f"Going back to {checkpoint!r}"):
        lifecycle.go_back(paths, record, checkpoint)
    seconds = time.monotonic() - began
    err.print(f"Lab {name!r} is ready, as it was at {checkpoint!r} ({seconds:.1f} s).")


def _agree(paths: LabPaths, record: Record, checkpoint: str) -> None:
    from autograders.connect import connect
    from gpulab import checkpoints, inventory, providers

    again = f"gpulab checkpoint restore {checkpoint} --yes"
    if not providers.of(record.provider).is_up(paths):
        what = "the lab is down, so nobody can say what would be lost"
        raise InputError(what, f"gpulab up, and try again; or go back all the same: {again}")
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        then = checkpoints.read(paths, record, checkpoint).inventory
        lost = inventory.lost(inventory.take(api), then)
    if not lost:
        return err.print("Nothing was made, changed or deleted since.")
    agree(f"Going back to {checkpoint!r} undoes this:", lost, again, "Go back?")


def agree(head: str, lost: Sequence[str], again: str, question: str) -> None:
    """Show what would be lost and ask; `again` is the command that does not."""
    err.print(head, highlight=False)
    for each in lost[:SHOWN]:
        err.print(f"  {each}", highlight=False, markup=False)
    if len(lost) > SHOWN:
        err.print(f"  and {len(lost) - SHOWN} more")
    if not sys.stdin.isatty():
        raise InputError("nobody is there to confirm", f"if nothing of it is needed: {again}")
    typer.confirm(question, abort=True)


def listing(name: str, *, json: bool) -> None:
    from gpulab import checkpoints, lab

    paths, record = lab.existing(name)
    found = [(each, checkpoints.read(paths, record, each)) for each in checkpoints.names(paths)]
    if json:
        import msgspec

        rows = [
            {"name": each, "created": about.created, "fleet": about.fleet} for each, about in found
        ]
        return print(msgspec.json.format(msgspec.json.encode(rows)).decode())  # noqa: T201
    if not found:
        return out.print("There is no checkpoint: gpulab checkpoint save NAME")
    table = Table("checkpoint", "saved (UTC)", "fleet", "MiB", box=None, pad_edge=False)
    for each, about in found:
        mib = f"{checkpoints.size(paths, each) / 2**20:.1f}"
        table.add_row(each, f"{about.created:%Y-%m-%d %H:%M:%S}", about.fleet, mib)
    out.print(table)


def delete(checkpoint: str, name: str) -> None:
    from gpulab import checkpoints, lab

    paths, _ = lab.existing(name)
    checkpoints.delete(paths, checkpoint)
    err.print(f"Checkpoint {checkpoint!r} is removed.", highlight=False)
