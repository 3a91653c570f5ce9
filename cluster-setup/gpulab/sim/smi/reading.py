"""What one idle GPU measures, a little different on every GPU and always the same on each."""

from __future__ import annotations

import hashlib

import msgspec

from gpulab.sim.gpus import Gpu

SPREAD_C = 2  # one 8-GPU H100 node spans 29-32 C, see gpus/h100-80gb-sxm.yaml
SPREAD_W = 3.0  # the same node spans 66.34-71.77 W


class Reading(msgspec.Struct, frozen=True):
    """Sensor values of one GPU at rest."""

    temperature_c: int
    power_w: float
    used_mib: int
    free_mib: int
    utilization: int


def idle(gpu: Gpu) -> Reading:
    """Measure a GPU that runs nothing."""
    first, second = hashlib.sha256(gpu.uuid.encode()).digest()[:2]
    rest = gpu.model.idle
    return Reading(
        temperature_c=rest.temperature_c + round(SPREAD_C * _unit(first)),
        power_w=round(rest.power_w + SPREAD_W * _unit(second), 2),
        used_mib=0,
        free_mib=gpu.model.free_mib or gpu.model.memory_mib,
        utilization=0,
    )


def _unit(byte: int) -> float:
    """Spread a byte over -1.0 to 1.0."""
    return byte / 127.5 - 1
