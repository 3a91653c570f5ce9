"""The metrics of dcgm-exporter: names, help and labels. Pure.

NVIDIA/dcgm-exporter, etc/default-counters.csv, and the labels of a scrape of release 4: a GPU that
no container holds has none of the last three.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.samples import Sample

from gpulab.sim.gpus import Gpu
from gpulab.sim.smi import Reading

Holder = tuple[str, str, str]
"""Namespace, Pod and container; all empty for a GPU that nobody holds."""


class Seen(msgspec.Struct, frozen=True):
    """One GPU at one moment."""

    node: str
    gpu: Gpu
    driver: str
    reading: Reading | None
    """None for a GPU that its driver no longer reaches."""
    xid: int = 0
    """The error that it reports; 0 without one."""
    holder: Holder = ("", "", "")


Value = Callable[[Reading], float | None]
READ: tuple[tuple[str, str, Value], ...] = (
    ("SM_CLOCK", "SM clock frequency (in MHz).", lambda now: now.sm_clock_mhz),
    ("MEM_CLOCK", "Memory clock frequency (in MHz).", lambda now: now.memory_clock_mhz),
    ("GPU_TEMP", "GPU temperature (in C).", lambda now: now.temperature_c),
    ("POWER_USAGE", "Power draw (in W).", lambda now: now.power_w),
    ("GPU_UTIL", "GPU utilization (in %).", lambda now: now.utilization),
    ("MEM_COPY_UTIL", "Memory utilization (in %).", lambda now: now.memory_utilization),
    ("FB_FREE", "Framebuffer memory free (in MiB).", lambda now: now.free_mib),
    ("FB_USED", "Framebuffer memory used (in MiB).", lambda now: now.used_mib),
)
XID = "DCGM_FI_DEV_XID_ERRORS"


def text(found: Iterable[Seen]) -> bytes:
    """All of it, as it is served.

    Labels are written by the library, once for each GPU and holder: to have it write every line
    takes 1.7 s of a core for 1,000 nodes, this 0.2 s.
    """
    told = [(each, _label_text(each.node, each.gpu, each.driver, each.holder)) for each in found]
    parts = []
    for suffix, help_, value in READ:
        parts.append(_head(name := f"DCGM_FI_DEV_{suffix}", help_))
        for each, own in told:
            if each.reading is not None and (number := value(each.reading)) is not None:
                parts.append(f"{name}{own} {float(number)}\n")
    parts.append(_head(XID, "Value of the last XID error encountered."))
    parts += [f"{XID}{own} {float(each.xid)}\n" for each, own in told]
    return "".join(parts).encode()


def _head(name: str, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} gauge\n"


@functools.lru_cache(maxsize=20_000)
def _label_text(node: str, gpu: Gpu, driver: str, holder: Holder) -> str:
    """The labels in braces, escaped and sorted as the library does."""
    family = GaugeMetricFamily("one", "")
    family.samples.append(Sample("one", labels(node, gpu, driver, holder), 0))
    line = generate_latest(_Only(family)).decode().splitlines()[-1]
    return line.removeprefix("one").rpartition(" ")[0]


class _Only(CollectorRegistry):
    """A registry of one family."""

    def __init__(self, family: GaugeMetricFamily) -> None:
        super().__init__(auto_describe=False)
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def labels(node: str, gpu: Gpu, driver: str, holder: Holder) -> dict[str, str]:
    own = {
        "gpu": str(gpu.index),
        "UUID": gpu.uuid,
        "pci_bus_id": gpu.bus_id,
        "device": f"nvidia{gpu.index}",
        "modelName": gpu.model.product,
        "Hostname": node,
        "DCGM_FI_DRIVER_VERSION": driver,
    }
    namespace, pod, container = holder
    if pod:
        own |= {"container": container, "namespace": namespace, "pod": pod}
    return own
