"""`nvidia-smi --query-gpu=... --format=csv`: fields are data, one row of FIELDS each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.smi.reading import Reading, idle
from gpulab.sim.smi.table import Shown

NOT_AVAILABLE = "[N/A]"


class Row(msgspec.Struct, frozen=True):
    """All that a field may speak of: one GPU, and the container it is seen from."""

    index: int
    count: int
    gpu: Gpu
    reading: Reading
    driver: Driver
    now: datetime


class Field(msgspec.Struct, frozen=True):
    """A field of --query-gpu; with a unit, header and value both name it."""

    value: Callable[[Row], object]
    unit: str = ""


def _mib(value: Callable[[Row], object]) -> Field:
    return Field(value, "MiB")


def _watts(value: Callable[[Row], float]) -> Field:
    return Field(lambda row: f"{value(row):.2f}", "W")


def _mig(row: Row) -> str:
    return "Disabled" if row.gpu.model.mig_capable else NOT_AVAILABLE


FIELDS = {
    "timestamp": Field(lambda row: f"{row.now:%Y/%m/%d %H:%M:%S}.{row.now.microsecond // 1000:03}"),
    "driver_version": Field(lambda row: row.driver.version),
    "count": Field(lambda row: row.count),
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
    "utilization.gpu": Field(lambda row: row.reading.utilization, "%"),
    "utilization.memory": Field(lambda row: row.reading.utilization, "%"),
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
}
"""Second names from `nvidia-smi --help-query-gpu`; the header shows the first."""


def unknown(names: Sequence[str]) -> str | None:
    """First name that is no field, as nvidia-smi complains of one at a time."""
    return next((name for name in names if _canonical(name) not in FIELDS), None)


def render(
    names: Sequence[str],
    shown: Sequence[Shown],
    driver: Driver,
    now: datetime,
    *,
    header: bool = True,
    units: bool = True,
) -> str:
    """Write the chosen fields of every GPU as CSV."""
    chosen = [_canonical(name) for name in names]
    rows = [Row(index, len(shown), gpu, idle(gpu), driver, now) for index, gpu in shown]
    lines = [", ".join(_cell(FIELDS[name], row, units) for name in chosen) for row in rows]
    heads = [", ".join(_head(name, units) for name in chosen)] if header else []
    return "".join(f"{line}\n" for line in heads + lines)


def _canonical(name: str) -> str:
    return ALIASES.get(name, name)


def _head(name: str, units: bool) -> str:
    unit = FIELDS[name].unit
    return f"{name} [{unit}]" if unit else name  # `nounits` leaves the header alone


def _cell(field: Field, row: Row, units: bool) -> str:
    value = str(field.value(row))
    return f"{value} {field.unit}" if units and field.unit and value != NOT_AVAILABLE else value
