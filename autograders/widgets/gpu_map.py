"""The cluster as a picture: one row per node, one box per GPU, and who holds which."""

from __future__ import annotations

import html
from collections.abc import Sequence

from autograders.cluster.gpus import Allocation, Box, boxes

# Okabe-Ito colours: told apart by colour-blind readers; every box also carries its letter
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LOST = 'style="background:#333;border-color:#333"'
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
    marks = letters(allocations)
    rows = "".join(_row(one, marks) for one in allocations)
    free = sum(one.free for one in allocations)
    total = sum(one.allocatable for one in allocations)
    lost = sum(one.lost for one in allocations)
    legend = "".join(_entry(*item) for item in marks.items())
    broken = f"<li><i {LOST}>!</i> unhealthy: {lost}, given to no new Pod</li>" if lost else ""
    return (
        f'{STYLE}<div class="gpu-map"><table>{rows}</table>'
        f"<ul>{legend}<li><i></i> free: {free} of {total} GPUs</li>{broken}</ul></div>"
    )


Mark = tuple[str, str]  # letter and colour


def letters(allocations: Sequence[Allocation]) -> dict[str, Mark]:
    """A letter and a colour for each Pod that holds GPUs, in order of appearance."""
    holders = dict.fromkeys(
        f"{held.namespace}/{held.pod}" for one in allocations for held in one.holdings
    )
    return {
        holder: (LETTERS[index % len(LETTERS)], COLOURS[index % len(COLOURS)])
        for index, holder in enumerate(holders)
    }


def _row(one: Allocation, marks: dict[str, Mark]) -> str:
    drawn = "".join(_box(box, marks) for box in boxes(one)) or "no GPU"
    return (
        f"<tr><th><b>{html.escape(one.node)}</b></th>"
        f"<td>{html.escape(one.kind)}</td>"
        f'<td><div class="boxes">{drawn}</div></td></tr>'
    )


def _box(box: Box, marks: dict[str, Mark]) -> str:
    """One GPU; its UUID and health are in the tooltip."""
    letter, colour = marks.get(box.holder, ("", ""))
    words = html.escape(box.words, quote=True)
    style = f' style="background:{colour};border-color:{colour}"' if colour else ""
    if not box.is_healthy:
        letter, style = f"{letter}!", f" {LOST}" if not colour else style
    return f'<i title="{words}" role="img" aria-label="{words}"{style}>{letter}</i>'


def _entry(holder: str, mark: Mark) -> str:
    letter, colour = mark
    style = f"background:{colour};border-color:{colour}"
    return f'<li><i style="{style}">{letter}</i> {html.escape(holder)}</li>'
