"""`nvidia-smi --query-compute-apps=... --format=csv`: the fields of a process on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from gpulab.sim.gpus import Gpu
from gpulab.sim.smi.columns import Field, Style, time, write
from gpulab.sim.smi.processes import Process, on
from gpulab.sim.smi.reading import View


class App(msgspec.Struct, frozen=True):
    """A process on one GPU; one on two GPUs is two of them."""

    process: Process
    gpu: Gpu
    mib: int
    now: datetime


FIELDS: dict[str, Field[App]] = {
    "timestamp": Field(lambda app: time(app.now)),
    "gpu_name": Field(lambda app: app.gpu.model.product),
    "gpu_bus_id": Field(lambda app: app.gpu.bus_id),
    "gpu_serial": Field(lambda app: app.gpu.serial),
    "gpu_uuid": Field(lambda app: app.gpu.uuid),
    "pid": Field(lambda app: app.process.pid),
    "process_name": Field(lambda app: app.process.name),
    "used_gpu_memory": Field(lambda app: app.mib, "MiB"),
}

ALIASES = {"name": "process_name", "used_memory": "used_gpu_memory"}
"""Second names from `nvidia-smi --help-query-compute-apps`; the header shows the first."""


def render(names: Sequence[str], view: View, style: Style) -> str:
    """Write the chosen fields of every process as CSV."""
    rows = [
        App(process, gpu, mib, view.now)
        for _, gpu in view.shown
        for process, mib in on(gpu, view.processes)
    ]
    return write([(name, FIELDS[name]) for name in names], rows, style)
