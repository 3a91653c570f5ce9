"""What nvidia-smi looks at, and what a GPU measures: by its load, and the same whoever asks.

`measure` serves nvidia-smi and the metrics alike. Temperature and power follow the load at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.mig import Layout
from gpulab.sim.smi.processes import Process, on

SPREAD_C = 2  # one 8-GPU H100 node spans 29-32 C, see gpus/h100-80gb-sxm.yaml
SPREAD_W = 3.0  # the same node spans 66.34-71.77 W
SAMPLE = 5  # seconds for which one sample of a load is shown
WOBBLE = 0.04  # by so much of itself a load goes up and down
SLOW_AT_C = 85  # where a board of which no source says it slows down; our reading
WORK_C = 45  # degrees above idle at full power; our reading, after H100 nodes under load
CRAWL = 0.35  # of its clock is left to a GPU that slows down for heat; our reading
WARM_CLOCK = 0.9  # of the highest clock is kept under full load; our reading

Shown = tuple[int, Gpu]
"""A GPU and the index a container sees it under."""


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What processes make of a GPU: shares in percent, memory in MiB."""

    utilization: float = 0
    """Percent of the time in which a kernel runs."""
    memory_mib: int = 0
    memory_utilization: float | None = None
    """Percent of the time in which its memory is read or written; half of the other by default."""


IDLE = Load()


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
    loads: Mapping[str, Load] = {}
    """By UUID; a GPU that is missing is idle."""
    hot: Collection[str] = ()
    """UUIDs of GPUs whose cooling fails."""

    def measure(self, gpu: Gpu) -> Reading:
        load = self.loads.get(gpu.uuid, IDLE)
        held = sum(mib for _, mib in on(gpu, self.processes))
        return measure(gpu, load, self.now, held_mib=held, hot=gpu.uuid in self.hot)

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
    memory_utilization: int = 0
    sm_clock_mhz: int | None = None
    """None where no source gives the clocks of this board."""
    memory_clock_mhz: int | None = None
    hot: bool = False
    """Whether it slows down for heat."""


def measure(
    gpu: Gpu, load: Load, now: datetime, *, held_mib: int = 0, hot: bool = False
) -> Reading:
    """Sensor values under a load; `held_mib` of memory count on top of the load's.

    A function of its arguments alone: who asks within the same five seconds sees the same.
    """
    first, second = hashlib.sha256(gpu.uuid.encode()).digest()[:2]
    model, rest = gpu.model, gpu.model.idle
    busy = _sample(gpu, load.utilization, now)
    given = load.memory_utilization
    copying = load.utilization / 2 if given is None else given
    used = load.memory_mib + held_mib  # real ones add a few MiB, 14 on a GH200
    share = (CRAWL if hot else 1.0) * busy / 100
    idle_c = rest.temperature_c + round(SPREAD_C * _unit(first))
    idle_w = rest.power_w + SPREAD_W * _unit(second)
    return Reading(
        temperature_c=_slow_at(gpu) if hot else idle_c + round(WORK_C * share),
        power_w=round(idle_w + (model.power_limit_w - idle_w) * 0.95 * share, 2),
        used_mib=used,
        free_mib=max(0, (model.free_mib or model.memory_mib) - used),
        utilization=round(busy),
        memory_utilization=round(_sample(gpu, copying, now)),
        sm_clock_mhz=_sm_clock(gpu, busy, hot),
        memory_clock_mhz=_memory_clock(gpu, busy),
        hot=hot,
    )


def _sample(gpu: Gpu, percent: float, now: datetime) -> float:
    """A load as one sample shows it, a little more or less than it is."""
    if not percent:
        return 0.0
    key = f"{gpu.uuid}/{int(now.timestamp()) // SAMPLE}"
    byte = hashlib.sha256(key.encode()).digest()[0]
    return min(100.0, max(0.0, percent * (1 + WOBBLE * _unit(byte))))


def _slow_at(gpu: Gpu) -> int:
    """The temperature at which the board slows down; some give what is left to a limit."""
    details = gpu.model.details
    if details is None:
        return SLOW_AT_C
    thermal = details.thermal
    return thermal.slowdown if thermal.limit is None else thermal.limit - thermal.slowdown


def _sm_clock(gpu: Gpu, busy: float, hot: bool) -> int | None:
    details = gpu.model.details
    if details is None:
        return None
    low, high = details.idle_clocks.graphics, details.max_clocks.graphics
    if not busy:
        return low
    return round(high * (CRAWL if hot else 1 - (1 - WARM_CLOCK) * busy / 100))


def _memory_clock(gpu: Gpu, busy: float) -> int | None:
    details = gpu.model.details
    if details is None:
        return None
    return details.max_clocks.memory if busy else details.idle_clocks.memory


def _unit(byte: int) -> float:
    """Spread a byte over -1.0 to 1.0."""
    return byte / 127.5 - 1
