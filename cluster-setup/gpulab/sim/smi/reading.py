"""What nvidia-smi looks at, and what a GPU measures: idle, the same on each GPU at any time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.mig import Layout
from gpulab.sim.smi.processes import Process, on

SPREAD_C = 2  # one 8-GPU H100 node spans 29-32 C, see gpus/h100-80gb-sxm.yaml
SPREAD_W = 3.0  # the same node spans 66.34-71.77 W

Shown = tuple[int, Gpu]
"""A GPU and the index a container sees it under."""


class View(msgspec.Struct, frozen=True):
    """The GPUs that one call speaks of, and all that it may say about them."""

    shown: Sequence[Shown]
    attached: int
    """How many GPUs the container has, shown or not."""
    driver: Driver
    now: datetime
    processes: Sequence[Process] = ()
    slices: Layout = msgspec.field(default_factory=dict)
    """The slices that are seen of each GPU in MIG mode."""

    def mig_mode(self, gpu: Gpu, none: str) -> str:
        """Whether the GPU is in MIG mode; `none` where it cannot be."""
        if not gpu.model.mig_capable:
            return none
        return "Enabled" if gpu.uuid in self.slices else "Disabled"


class Reading(msgspec.Struct, frozen=True):
    """Sensor values of one GPU."""

    temperature_c: int
    power_w: float
    used_mib: int
    free_mib: int
    utilization: int


def measure(gpu: Gpu, processes: Sequence[Process]) -> Reading:
    """Measure a GPU that computes nothing, whatever memory its processes hold."""
    first, second = hashlib.sha256(gpu.uuid.encode()).digest()[:2]
    rest = gpu.model.idle
    used = sum(mib for _, mib in on(gpu, processes))  # real ones add a few MiB, 14 on a GH200
    return Reading(
        temperature_c=rest.temperature_c + round(SPREAD_C * _unit(first)),
        power_w=round(rest.power_w + SPREAD_W * _unit(second), 2),
        used_mib=used,
        free_mib=max(0, (gpu.model.free_mib or gpu.model.memory_mib) - used),
        utilization=0,
    )


def _unit(byte: int) -> float:
    """Spread a byte over -1.0 to 1.0."""
    return byte / 127.5 - 1
