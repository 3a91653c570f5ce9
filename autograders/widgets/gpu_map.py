"""The cluster as a picture: one row per node, one box per GPU, and who holds which."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from autograders.cluster.gpus import Allocation, Holding

# Okabe-Ito colours: told apart by colour-blind readers; every box also carries its letter
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# `!important` where JupyterLab's own table style would win
STYLE = """
<style>
.gpu-map {font: 13px/1.4 system-ui, sans-serif; color: inherit; max-width: 60em}
.gpu-map table {border-collapse: collapse; width: auto; margin: 0 !important}
.gpu-map th, .gpu-map td {padding: 3px 14px 3px 0 !important; text-align: left !important;
  vertical-align: middle !important; border: 0; font-weight: normal}
.gpu-map tr {background: none !important}
.gpu-map th b {font-weight: 600}
.gpu-map .boxes {display: flex; flex-wrap: wrap; gap: 4px}
.gpu-map i {display: inline-block; width: 22px; height: 22px; border-radius: 4px;
  border: 1.5px solid #888; font: 600 12px/22px system-ui, sans-serif; text-align: center;
  vertical-align: middle; color: #fff; box-sizing: content-box}
.gpu-map ul {list-style: none; padding: 0 !important; margin: 8px 0 0 !important}
.gpu-map li {margin: 3px 0}
</style>
"""


def render(allocations: Sequence[Allocation]) -> str:
    """HTML for the nodes in the given order; holders are lettered and listed below."""
    marks = _marks(allocations)
    rows = "".join(_row(one, marks) for one in allocations)
    free = sum(one.free for one in allocations)
    total = sum(one.allocatable for one in allocations)
    legend = "".join(_entry(*item) for item in marks.items())
    return (
        f'{STYLE}<div class="gpu-map"><table>{rows}</table>'
        f"<ul>{legend}<li><i></i> free: {free} of {total} GPUs</li></ul></div>"
    )


Mark = tuple[str, str]  # letter and colour
Holder = tuple[str, str]  # namespace and Pod


def _marks(allocations: Sequence[Allocation]) -> dict[Holder, Mark]:
    """A letter and a colour for each Pod that holds GPUs, in order of appearance."""
    holders = dict.fromkeys(
        (held.namespace, held.pod) for one in allocations for held in one.holdings
    )
    return {
        holder: (LETTERS[index % len(LETTERS)], COLOURS[index % len(COLOURS)])
        for index, holder in enumerate(holders)
    }


def _row(one: Allocation, marks: dict[Holder, Mark]) -> str:
    boxes = "".join(_boxes(one, marks)) or "no GPU"
    return (
        f"<tr><th><b>{html.escape(one.node)}</b></th>"
        f"<td>{html.escape(one.product)}</td>"
        f'<td><div class="boxes">{boxes}</div></td></tr>'
    )


def _boxes(one: Allocation, marks: dict[Holder, Mark]) -> Iterator[str]:
    for held in one.holdings:
        yield from [_held(held, marks)] * held.gpus
    yield from ['<i title="free" role="img" aria-label="free"></i>'] * one.free


def _held(held: Holding, marks: dict[Holder, Mark]) -> str:
    letter, colour = marks[held.namespace, held.pod]
    name = html.escape(f"{held.namespace}/{held.pod}", quote=True)
    style = f"background:{colour};border-color:{colour}"
    return f'<i title="{name}" role="img" aria-label="{name}" style="{style}">{letter}</i>'


def _entry(holder: Holder, mark: Mark) -> str:
    letter, colour = mark
    style = f"background:{colour};border-color:{colour}"
    return f'<li><i style="{style}">{letter}</i> {html.escape("/".join(holder))}</li>'
