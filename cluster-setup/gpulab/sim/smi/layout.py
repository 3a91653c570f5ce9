"""What `nvidia-smi -q` says, line by line, read from report.txt: label | XML element | value.

Labels, order and indentation are those of published outputs of R580.173.02 and R595, elements those
of an `-q -x` capture of R595.91.07 (tests/golden/nvidia-smi/SOURCES.md). A label `-` stands for an
element that the text does not print, an element `-` for a line that XML does not have, `+` before a
label for a section that only `-d` prints, `~` for a blank at a line's end. `{name}` is a figure of
the board or a reading, see `figures`.
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

GROUPS = {
    "MEMORY": ("FB Memory Usage", "BAR1 Memory Usage", "Conf Compute Protected Memory Usage"),
    "UTILIZATION": ("Utilization",),
    "ECC": ("ECC Mode", "ECC Errors"),
    "TEMPERATURE": ("Temperature",),
    "POWER": (
        "GPU Power Readings",
        "Power Samples",
        "GPU Memory Power Readings ",
        "Module Power Readings",
        "EDPp Multiplier",
    ),
    "CLOCK": (
        "Clocks",
        "Applications Clocks",
        "Default Applications Clocks",
        "Deferred Clocks",
        "Max Clocks",
        "Max Customer Boost Clocks",
        "SM Clock Samples",
        "Memory Clock Samples",
        "Clock Policy",
    ),
    "COMPUTE": ("Compute Mode",),
    "PIDS": ("Processes",),
    "PERFORMANCE": (
        "Performance State",
        "Clocks Event Reasons",
        "Clocks Event Reasons Counters",
        "Sparse Operation Mode",
    ),
    "PAGE_RETIREMENT": ("Retired Pages",),
    "ROW_REMAPPER": ("Remapped Rows",),
    "ENCODER_STATS": ("Encoder Stats",),
    "FBC_STATS": ("FBC Stats",),
    "GSP_FIRMWARE_VERSION": ("GSP Firmware Version",),
}
"""The words of `-q -d` and the sections that they leave."""

REAL_ONLY = [
    "SUPPORTED_CLOCKS",
    "ACCOUNTING",
    "SUPPORTED_GPU_TARGET_TEMP",
    "VOLTAGE",
    "RESET_STATUS",
]
"""Words of `-d` in `nvidia-smi -h` that have no simulation yet."""


class Node(msgspec.Struct, frozen=True):
    """One line of the report and what is indented under it."""

    label: str
    tag: str
    value: str | None
    figure: str | None
    """Name of the figure in `value`."""
    only_asked: bool
    children: tuple[Node, ...]


def parse(text: str) -> tuple[Node, ...]:
    """Make a tree of an indented text."""
    return _siblings([line for line in text.splitlines() if line.strip()], 0)


def _siblings(lines: list[str], depth: int) -> tuple[Node, ...]:
    if not lines:
        return ()
    starts = [at for at, line in enumerate(lines) if not line[depth:].startswith(" ")]
    ends = [*starts[1:], len(lines)]
    return tuple(
        _node(lines[at][depth:], lines[at + 1 : end], depth)
        for at, end in zip(starts, ends, strict=True)
    )


def _node(line: str, below: list[str], depth: int) -> Node:
    label, tag, value = [*(part.strip() for part in line.split("|")), None][:3]
    assert label
    assert tag
    name = label.removeprefix("+").replace("~", " ")
    figure = re.search(r"\{(\w+)\}", value or "")
    return Node(
        label=name,
        tag=tag,
        value=value,
        figure=figure[1] if figure else None,
        only_asked=label.startswith("+"),
        children=_siblings(below, depth + 4),
    )


NODES = parse(Path(__file__).with_name("report.txt").read_text(encoding="utf-8"))
