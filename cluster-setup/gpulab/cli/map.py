"""`gpulab map`: the same picture as the notebooks', for a terminal or a program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from autograders.cluster.gpus import Allocation, Box, boxes
from autograders.widgets.gpu_map import Mark, letters
from gpulab.cli.lab import out

LOST = "#d00000"


def show(name: str, kubeconfig: Path | None, *, uuids: bool, json: bool) -> None:
    """Read the cluster once and draw it."""
    from gpulab.notebook import read_allocations

    found = read_allocations(kubeconfig or _kubeconfig(name))
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode(_data(found))).decode())  # noqa: T201
        return
    _draw(found)
    if uuids:
        _list(found)


def _kubeconfig(name: str) -> Path | None:
    """The lab's, else None for $KUBECONFIG."""
    from gpulab import lab
    from gpulab.paths import lab_paths

    paths = lab_paths(name)
    if lab.read_record(paths) is None:
        if "KUBECONFIG" in os.environ:
            return None
        lab.existing(name)  # raises: there is no such lab
    return paths.kubeconfig


def _draw(found: Sequence[Allocation]) -> None:
    marks = letters(found)
    table = Table("node", "GPUs", "free", "", box=None, pad_edge=False)
    for one in found:
        drawn = Text(" ").join(_box(box, marks) for box in boxes(one))
        free = f"{one.free} of {one.allocatable}" if one.capacity else "-"
        table.add_row(one.node, escape(one.kind) or "no GPU", free, drawn)
    out.print(table)
    for holder, mark in marks.items():
        out.print(Text(mark[0], style=f"bold white on {mark[1]}"), escape(holder))
    if lost := sum(one.lost for one in found):
        out.print(Text("!", style=f"bold white on {LOST}"), f"unhealthy: {lost}")


def _box(box: Box, marks: dict[str, Mark]) -> Text:
    """A letter for its holder, `.` for free, `!` for unhealthy: readable without colours."""
    letter, colour = marks.get(box.holder, (".", ""))
    if not box.is_healthy:
        letter = f"{letter}!" if box.holder else "!"
        return Text(f" {letter} ", style=f"bold white on {LOST}")
    return Text(f" {letter} ", style=f"bold white on {colour}" if colour else "dim")


def _list(found: Sequence[Allocation]) -> None:
    table = Table("node", "GPU", "holder", "health", box=None, pad_edge=False)
    for one in found:
        for holding in one.holdings:
            for device in holding.devices:
                holder = f"{holding.namespace}/{holding.pod}"
                table.add_row(one.node, device.uuid, holder, device.health)
    out.print()
    out.print(table)


def _data(found: Sequence[Allocation]) -> list[dict[str, Any]]:
    return [
        {
            "node": one.node,
            "product": one.product,
            "resource": one.resource,
            "capacity": one.capacity,
            "allocatable": one.allocatable,
            "free": one.free,
            "gpus": [
                {
                    "holder": box.holder or None,
                    "uuid": box.device.uuid if box.device else None,
                    "health": box.device.health if box.device else None,
                    "healthy": box.is_healthy,
                }
                for box in boxes(one)
            ],
        }
        for one in found
    ]
