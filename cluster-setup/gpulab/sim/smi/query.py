"""`nvidia-smi --query-gpu=... --format=csv`: the fields of a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gpulab.sim.gpus import Gpu
from gpulab.sim.smi.columns import NOT_AVAILABLE, Field, Style, time, write
from gpulab.sim.smi.reading import Reading, View


class Row(msgspec.Struct, frozen=True):
    """All that a field may speak of: one GPU, and the container it is seen from."""

    index: int
    gpu: Gpu
    reading: Reading
    view: View


def _mib(value: Callable[[Row], object]) -> Field[Row]:
    return Field(value, "MiB")


def _watts(value: Callable[[Row], float]) -> Field[Row]:
    return Field(lambda row: f"{value(row):.2f}", "W")


def _known(value: int | None) -> object:
    return NOT_AVAILABLE if value is None else value


def _mig(row: Row) -> str:
    return row.view.mig_mode(row.gpu, NOT_AVAILABLE)


def _load(row: Row, percent: int) -> object:
    """A GPU in MIG mode does not tell."""
    return NOT_AVAILABLE if row.gpu.uuid in row.view.slices else percent


FIELDS: dict[str, Field[Row]] = {
    "timestamp": Field(lambda row: time(row.view.now)),
    "driver_version": Field(lambda row: row.view.driver.version),
    "count": Field(lambda row: row.view.attached),
    "index": Field(lambda row: row.index),
    "name": Field(lambda row: row.gpu.model.product),
    "uuid": Field(lambda row: row.gpu.uuid),
    "serial": Field(lambda row: row.gpu.serial),
    "pci.bus_id": Field(lambda row: row.gpu.bus_id),
    "pci.domain": Field(lambda row: f"0x{row.gpu.bus_id[4:8]}"),
    "pci.bus": Field(lambda row: f"0x{row.gpu.bus_id[9:11]}"),
    "pci.device": Field(lambda row: f"0x{row.gpu.bus_id[12:14]}"),
    "pci.device_id": Field(lambda row: row.gpu.model.pci_device_id),
    "persistence_mode": Field(lambda row: "Enabled"),
    "display_active": Field(lambda row: "Disabled"),
    "compute_mode": Field(lambda row: "Default"),
    "compute_cap": Field(lambda row: row.gpu.model.compute),
    "mig.mode.current": Field(_mig),
    "mig.mode.pending": Field(_mig),
    "ecc.mode.current": Field(lambda row: "Enabled"),
    "ecc.mode.pending": Field(lambda row: "Enabled"),
    "pstate": Field(lambda row: row.gpu.model.idle.pstate),
    "fan.speed": Field(lambda row: NOT_AVAILABLE, "%"),
    "temperature.gpu": Field(lambda row: row.reading.temperature_c),
    "power.draw": _watts(lambda row: row.reading.power_w),
    "power.limit": _watts(lambda row: row.gpu.model.power_limit_w),
    "utilization.gpu": Field(lambda row: _load(row, row.reading.utilization), "%"),
    "utilization.memory": Field(lambda row: _load(row, row.reading.memory_utilization), "%"),
    "clocks.sm": Field(lambda row: _known(row.reading.sm_clock_mhz), "MHz"),
    "clocks.mem": Field(lambda row: _known(row.reading.memory_clock_mhz), "MHz"),
    "memory.total": _mib(lambda row: row.gpu.model.memory_mib),
    "memory.reserved": _mib(lambda row: row.gpu.model.reserved_mib or NOT_AVAILABLE),
    "memory.used": _mib(lambda row: row.reading.used_mib),
    "memory.free": _mib(lambda row: row.reading.free_mib),
}

ALIASES = {
    "gpu_name": "name",
    "gpu_uuid": "uuid",
    "gpu_serial": "serial",
    "gpu_bus_id": "pci.bus_id",
    "clocks.current.sm": "clocks.sm",
    "clocks.current.memory": "clocks.mem",
}
"""Second names from `nvidia-smi --help-query-gpu`; the header shows the first."""


def render(names: Sequence[str], view: View, style: Style) -> str:
    """Write the chosen fields of every GPU as CSV."""
    rows = [Row(index, gpu, view.measure(gpu), view) for index, gpu in view.shown]
    return write([(name, FIELDS[name]) for name in names], rows, style)
