"""Utilisation beside allocation: one row per Pod that holds GPUs, and one for what nobody holds.

Widgets take data: whoever calls brings what the metrics say.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 20  # characters of a bar in text
STYLE = """
<style>
.gpu-use {font: 13px/1.4 system-ui, sans-serif; color: inherit; max-width: 60em}
.gpu-use table {border-collapse: collapse; width: auto; margin: 0 !important}
.gpu-use th, .gpu-use td {padding: 3px 14px 3px 0 !important; text-align: left !important;
  vertical-align: middle !important; border: 0; font-weight: normal}
.gpu-use tr {background: none !important}
.gpu-use th b {font-weight: 600}
.gpu-use th, .gpu-use td:nth-child(2) {white-space: nowrap}
.gpu-use .bar {display: inline-block; width: 180px; height: 12px; border-radius: 3px;
  border: 1px solid #888; vertical-align: middle; overflow: hidden}
.gpu-use .bar i {display: block; height: 100%; background: #0072B2}
.gpu-use .bar.memory i {background: #E69F00}
</style>
"""


@dataclass(frozen=True)
class Device:
    """One GPU as its metrics tell of it."""

    holder: str
    """namespace/Pod; empty for a GPU that nobody holds."""
    utilization: float | None
    """Percent of the time; None where nobody can read it."""
    used_mib: float | None
    total_mib: float | None


@dataclass(frozen=True)
class Row:
    """The GPUs of one holder."""

    holder: str
    """namespace/Pod; `free` for all that nobody holds."""
    gpus: int
    """How many are allocated to it."""
    utilization: float
    """Percent, their mean."""
    memory: float
    """Percent of their memory."""


def rows(devices: Iterable[Device]) -> tuple[Row, ...]:
    """Count by holder, in the order of appearance; what is free comes last."""
    groups: dict[str, list[Device]] = {}
    for one in devices:
        groups.setdefault(one.holder, []).append(one)
    free = groups.pop("", [])
    found = [row(holder, group) for holder, group in groups.items()]
    return (*found, *([row("free", free)] if free else []))


def row(holder: str, group: Sequence[Device]) -> Row:
    busy = [one.utilization for one in group if one.utilization is not None]
    total = sum(one.total_mib or 0 for one in group)
    used = sum(one.used_mib or 0 for one in group)
    memory = 100 * used / total if total else 0.0
    return Row(holder, len(group), sum(busy) / len(busy) if busy else 0.0, memory)


def summary(found: Sequence[Row]) -> str:
    """The two figures that are easily taken for one another."""
    total = sum(one.gpus for one in found)
    held = [one for one in found if one.holder != "free"]
    allocated = sum(one.gpus for one in held)
    used = sum(one.gpus * one.utilization / 100 for one in found)
    if not total:
        return "no GPU reports anything: does a dcgm-exporter run?"
    return (
        f"allocated: {allocated} of {total} GPUs ({100 * allocated / total:.0f} %); "
        f"used: as much as {used:.1f} GPUs ({100 * used / total:.0f} %)"
    )


def render(found: Sequence[Row]) -> str:
    """HTML: bars for time and memory."""
    body = "".join(
        f"<tr><th><b>{html.escape(one.holder)}</b></th><td>GPUs: {one.gpus}</td>"
        f"<td>{bar(one.utilization, 'in use')}</td>"
        f"<td>{bar(one.memory, 'of the memory', 'memory')}</td></tr>"
        for one in found
    )
    return f'{STYLE}<div class="gpu-use"><table>{body}</table><p>{summary(found)}</p></div>'


def bar(percent: float, what: str, kind: str = "") -> str:
    words = f"{percent:.0f} % {what}"
    inner = f'<i style="width:{percent:.0f}%"></i>'
    return f'<span class="bar {kind}" role="img" aria-label="{words}">{inner}</span> {words}'


def text(found: Sequence[Row]) -> str:
    """The same where there is no front end."""
    wide = max((len(one.holder) for one in found), default=0)
    lines = [
        f"{one.holder:<{wide}}  {one.gpus:>3} GPUs  {blocks(one.utilization)} "
        f"{one.utilization:>3.0f} % in use  {blocks(one.memory)} {one.memory:>3.0f} % of the memory"
        for one in found
    ]
    return "\n".join([*lines, summary(found)])


def blocks(percent: float) -> str:
    full = round(percent / 100 * WIDTH)
    return "█" * full + "░" * (WIDTH - full)
