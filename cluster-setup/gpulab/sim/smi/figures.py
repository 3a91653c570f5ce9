"""The figures of one GPU that `nvidia-smi -q` prints, by the names that report.txt uses."""

from __future__ import annotations

import hashlib

from gpulab.sim.gpus import Clocks, Details, Gpu, Thermal
from gpulab.sim.smi.reading import Reading, View

NONE = "N/A"


def figures(gpu: Gpu, view: View) -> dict[str, object]:
    """Gather them; a figure that no source gives for this board is N/A, one it lacks is None."""
    now, model = view.measure(gpu), gpu.model
    found = {
        "product": model.product,
        "architecture": model.architecture,
        "driver": view.driver.version,
        "mig": view.mig_mode(gpu, NONE),
        "pstate": model.idle.pstate,
        "utilization": now.utilization,
        "memory_utilization": now.memory_utilization,
        "idle": _active(not now.utilization and not now.hot),
        "hw_slowdown": _active(now.hot),
        "power": f"{now.power_w:.2f}",
        "power_limit": f"{model.power_limit_w:.2f}",
        "temperature": now.temperature_c,
    }
    return found | _identity(gpu) | _memory(gpu, now) | _board(gpu, now)


def _active(holds: bool) -> str:
    return "Active" if holds else "Not Active"


def _identity(gpu: Gpu) -> dict[str, object]:
    domain, bus, device = gpu.bus_id[4:8], gpu.bus_id[9:11], gpu.bus_id[12:14]
    return {
        "serial": gpu.serial,
        "uuid": gpu.uuid,
        "pdi": f"0x{hashlib.sha256(gpu.uuid.encode()).hexdigest()[-16:]}",
        "minor": gpu.index,
        "bus_id": gpu.bus_id,
        "pci_domain": domain,
        "pci_bus": bus,
        "pci_device": device,
        "board_id": f"0x{int(domain + bus + '00', 16):x}",  # 0x5300 of 00000000:53:00.0
        "device_id": gpu.model.pci_device_id,
    }


def _memory(gpu: Gpu, now: Reading) -> dict[str, object]:
    model = gpu.model
    return {
        "memory_total": model.memory_mib,
        "memory_reserved": NONE if model.reserved_mib is None else model.reserved_mib,
        "memory_used": now.used_mib,
        "memory_free": now.free_mib,
    }


def _board(gpu: Gpu, now: Reading) -> dict[str, object]:
    details = gpu.model.details
    if details is None:
        return dict.fromkeys(BOARD, NONE) | dict.fromkeys(ABSOLUTE, None)
    slot = gpu.index % len(gpu.model.bus_ids)
    found = dict(zip(("inforom_image", "inforom_oem", "inforom_ecc"), details.inforom, strict=True))
    return {
        **found,
        "vbios": details.vbios,
        "board_part": details.board_part,
        "gpu_part": details.gpu_part,
        "subsystem": details.subsystem,
        "module_id": details.module_ids[slot] if details.module_ids else NONE,
        "c2c_mode": details.c2c_mode,
        "sparse_operation": details.sparse_operation,
        "pcie_gen": details.pcie_gen,
        "bar1_total": details.bar1_mib,
        "bar1_used": details.bar1_used_mib,
        "bar1_free": details.bar1_mib - details.bar1_used_mib,
        "row_banks": details.row_banks,
        "min_power": f"{details.min_power_w:.2f}",
        "memory_power": NONE if details.memory_power_w is None else f"{details.memory_power_w:.2f}",
        **_clocks("clock", details.idle_clocks),
        "clock_graphics": now.sm_clock_mhz,
        "clock_memory": now.memory_clock_mhz,
        **_clocks("max", details.max_clocks),
        **_thermal(details.thermal, now),
        **_fabric(details),
    }


def _clocks(name: str, clocks: Clocks) -> dict[str, object]:
    return {
        f"{name}_graphics": clocks.graphics,
        f"{name}_memory": clocks.memory,
        f"{name}_video": clocks.video or NONE,
    }


def _thermal(limits: Thermal, now: Reading) -> dict[str, object]:
    """Limits in degrees, or, on boards that count down to one, what is left to it."""
    memory_max = NONE if limits.memory_max is None else limits.memory_max
    figures = (limits.shutdown, limits.slowdown, limits.max_operating, memory_max)
    here, other = (ABSOLUTE, LEFT) if limits.limit is None else (LEFT, ABSOLUTE)
    left = NONE if limits.limit is None else limits.limit - now.temperature_c
    return {
        **dict(zip(here, figures, strict=True)),
        **dict.fromkeys(other, None),
        "temperature_left": left,
        "memory_temperature": NONE if limits.memory is None else limits.memory,
    }


def _fabric(details: Details) -> dict[str, object]:
    values = ("Completed", "Success", "0", "00000000-0000-0000-0000-000000000000")
    return dict(zip(FABRIC, values if details.fabric else (NONE,) * 4, strict=True))


ABSOLUTE = ("shutdown", "slowdown", "max_operating", "memory_max")
LEFT = tuple(f"{name}_left" for name in ABSOLUTE)
FABRIC = ("fabric_state", "fabric_status", "fabric_clique", "fabric_cluster")
BOARD = (
    *("inforom_image", "inforom_oem", "inforom_ecc", "vbios", "board_part", "gpu_part"),
    *("subsystem", "module_id", "c2c_mode", "sparse_operation", "pcie_gen", "row_banks"),
    *("bar1_total", "bar1_used", "bar1_free", "min_power", "memory_power"),
    *("clock_graphics", "clock_memory", "clock_video", "max_graphics", "max_memory", "max_video"),
    *("temperature_left", "memory_temperature", *LEFT, *FABRIC),
)
