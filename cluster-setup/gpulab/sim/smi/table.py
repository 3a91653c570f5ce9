"""The table nvidia-smi prints without arguments, in the layout of drivers R580 to R595.

Widths are those of published outputs, frozen under tests/golden/nvidia-smi/. R570 and earlier draw
the third line with `|` at its left edge; R610 renames the versions in the header.
"""

from __future__ import annotations

from datetime import datetime

from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.smi import mig
from gpulab.sim.smi.processes import on
from gpulab.sim.smi.reading import Reading, View

WIDTHS = (41, 24, 22)
INNER = sum(WIDTHS) + 2
NAME_WIDTH = 27
PROCESS_WIDTH = 32

COLUMN_HEADS = (
    "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |",
    "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |",
    "|                                         |                        |               MIG M. |",
)
PROCESS_HEADS = (
    "| Processes:                                                                              |",
    "|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |",
    "|        ID   ID                                                               Usage      |",
)


def render(view: View) -> str:
    """Draw the summary of the GPUs a container sees."""
    head = [f"{clock(view.now)}       ", _rule(), _versions(view.driver)]
    lines = [*head, _columns("-"), *COLUMN_HEADS, f"|{_columns('=')[1:-1]}|"]
    for index, gpu in view.shown:
        lines += [*_gpu_lines(index, gpu, view.measure(gpu), view), _columns("-")]
    return "\n".join([*lines, *mig.devices(view), "", *_processes(view)]) + "\n"


def clock(now: datetime) -> str:
    """Write a time as nvidia-smi does in tables: `Tue Sep 15 16:04:42 2026`."""
    return f"{now:%a %b} {now.day:>2} {now:%H:%M:%S %Y}"


def _versions(driver: Driver) -> str:
    return (
        f"| NVIDIA-SMI {driver.version:<23}Driver Version: {driver.version:<15}"
        f"CUDA Version: {driver.cuda:<9}|"
    )


def _gpu_lines(index: int, gpu: Gpu, now: Reading, view: View) -> list[str]:
    model = gpu.model
    power, limit = f"{now.power_w:.0f}W", f"{model.power_limit_w}W"
    used, total = f"{now.used_mib}MiB", f"{model.memory_mib}MiB"
    mode, is_cut = view.mig_mode(gpu, "N/A"), gpu.uuid in view.slices
    load = "N/A" if is_cut else f"{now.utilization}%"
    return [
        _row(
            f"{index:>4}  {_name(gpu):<{NAME_WIDTH}}    On  ",
            f"   {gpu.bus_id} Off ",
            f"{'On' if is_cut else 0:>21} ",
        ),
        _row(
            f" N/A{now.temperature_c:>5}C    {model.idle.pstate:<3}{power:>15} / {limit:>5} ",
            f"{used:>11} / {total:>9} ",
            f"{load:>8}{'Default':>13} ",
        ),
        _row("", "", f"{mode:>21} "),
    ]


def _name(gpu: Gpu) -> str:
    """Cut long product names the way nvidia-smi does."""
    name = gpu.model.product
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 3]}..."


def _processes(view: View) -> list[str]:
    found = [
        _process(index, process.pid, process.name, mib)
        for index, gpu in view.shown
        for process, mib in on(gpu, view.processes)
    ]
    none = [f"|{'  No running processes found':<{INNER}}|"]
    return [_rule(), *PROCESS_HEADS, f"|{'=' * INNER}|", *(found or none), _rule()]


def _process(index: int, pid: int, name: str, mib: int) -> str:
    """Write one process; nvidia-smi keeps the end of a long name."""
    short = name if len(name) <= PROCESS_WIDTH else f"...{name[3 - PROCESS_WIDTH :]}"
    return f"|{index:>5}   N/A  N/A{pid:>16}      C   {short:<{PROCESS_WIDTH}}{f'{mib}MiB':>14} |"


def _row(*cells: str) -> str:
    return f"|{'|'.join(f'{cell:<{width}}' for cell, width in zip(cells, WIDTHS, strict=True))}|"


def _columns(fill: str) -> str:
    return f"+{'+'.join(fill * width for width in WIDTHS)}+"


def _rule() -> str:
    return f"+{'-' * INNER}+"
