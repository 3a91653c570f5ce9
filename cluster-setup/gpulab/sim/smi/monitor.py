"""`nvidia-smi dmon -c 1` and `pmon -c 1`: one sample of every GPU, of every process."""

from __future__ import annotations

from collections.abc import Sequence

from gpulab.sim.smi.figures import figures
from gpulab.sim.smi.processes import on
from gpulab.sim.smi.reading import View

DEVICE_HEADS = """\
# gpu    pwr  gtemp  mtemp     sm    mem    enc    dec    jpg    ofa   mclk   pclk 
# Idx      W      C      C      %      %      %      %      %      %    MHz    MHz 
"""
PROCESS_HEADS = """\
# gpu         pid   type     sm    mem    enc    dec    jpg    ofa    command 
# Idx           #    C/G      %      %      %      %      %      %    name 
"""
COMMAND_WIDTH = 15
COLUMNS = [
    "power",
    "temperature",
    "memory_temperature",
    "utilization",
    "memory_utilization",
    "zero",
    "zero",
    "zero",
    "zero",
    "clock_memory",
    "clock_graphics",
]


def devices(view: View) -> str:
    """Sample the GPUs."""
    lines = []
    for index, gpu in view.shown:
        found = {**figures(gpu, view), "zero": 0}
        found["power"] = round(float(str(found["power"])))
        lines.append(_cells(index, [found[name] for name in COLUMNS]))
    return DEVICE_HEADS + "".join(lines)


def _cells(index: int, values: Sequence[object]) -> str:
    shown = ("-" if value == "N/A" else str(value) for value in values)
    return f"{index:>5}" + "".join(f"{value:>7}" for value in shown) + " \n"


def processes(view: View) -> str:
    """Sample the processes; none of them computes anything."""
    lines = []
    for index, gpu in view.shown:
        found = [(str(each.pid), "C", _command(each.name)) for each, _ in on(gpu, view.processes)]
        for pid, kind, name in found or [("-", "-", "-")]:
            load = "0" if found else "-"
            cells = "".join(f"{cell:>7}" for cell in (load, load, "-", "-", "-", "-"))
            lines.append(f"{index:>5}{pid:>11}{kind:>6}{cells}    {name:<{COMMAND_WIDTH}}\n")
    return PROCESS_HEADS + "".join(lines)


def _command(name: str) -> str:
    """Shorten a program's path as pmon does."""
    return name.rpartition("/")[2][:COMMAND_WIDTH]
