"""The labels that GPU feature discovery writes for GPUs that are cut, or shared.

After NVIDIA/k8s-device-plugin 1b826acc, internal/lm/{mig-strategy,resource,nvml}.go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gpulab.sim.device_map import resource_of
from gpulab.sim.gpus import Driver, Gpu, labels
from gpulab.sim.mig import Layout, Slice
from gpulab.sim.nodes import GPU
from gpulab.sim.sharing import Config

DISCOVERED = re.compile(
    r"nvidia\.com/((gpu|mig-[^/]+)(\.shared)?\.(product|count|replicas|sharing-strategy|memory"
    r"|family|compute\.(major|minor)|machine|mode|multiprocessors|slices\.\w+|engines\.\w+)"
    r"|mig\.(capable|strategy)|mps\.capable|vgpu\.present|gfd\.timestamp|cuda\..*)"
)
INVALID_COUNT = {"count": 0, "replicas": 0, "sharing-strategy": "", "memory": 0}


def is_discovered(label: str) -> bool:
    """Whether GFD writes this label."""
    return DISCOVERED.fullmatch(label) is not None


@dataclass(frozen=True)
class Discovery:
    """What a running GFD goes by."""

    strategy: str = "single"
    config: Config = field(default_factory=Config)
    layout: Layout = field(default_factory=dict)

    def labels(self, gpus: Sequence[Gpu], driver: Driver, stamp: int) -> dict[str, str]:
        """Every label of the node; none without GPUs."""
        if not gpus:
            return {}
        model = gpus[0].model
        found = labels(model, len(gpus), driver, mig_strategy=self.strategy, timestamp=stamp)
        cut = [gpu for gpu in gpus if gpu.uuid in self.layout]
        product = found[f"{GPU}.product"]
        if len(cut) == len(gpus):  # the labels of GPUs in MIG mode know nothing of sharing
            found[f"{GPU}.replicas"] = "0"
        else:
            found |= self._shared(GPU, product)
        if self.config.strategy == "mps":
            found["nvidia.com/mps.capable"] = "true"
        if self.strategy == "single" and cut:
            found |= self._single(gpus, product)
        elif self.strategy == "mixed":
            found |= self._slices(product)
        return dict(sorted(found.items()))

    def _single(self, gpus: Sequence[Gpu], product: str) -> dict[str, str]:
        slices = [self.layout.get(gpu.uuid, ()) for gpu in gpus]
        if not all(slices) or len({one.profile for each in slices for one in each}) > 1:
            return _of(GPU, {"product": f"{product}-MIG-INVALID", **INVALID_COUNT})
        return self._slices(product)

    def _slices(self, product: str) -> dict[str, str]:
        """Of each kind of slice, with what one of them has."""
        kinds: dict[str, list[Slice]] = {}
        for one in (one for each in self.layout.values() for one in each):
            kinds.setdefault(resource_of(one, self.strategy), []).append(one)
        found: dict[str, str] = {}
        for resource, every in kinds.items():
            profile = every[0].profile
            name = f"{product}-MIG-{profile.name.replace('+', '.')}"
            found |= self._shared(resource, name, len(every)) | _of(resource, _attributes(every[0]))
        return found

    def _shared(self, resource: str, product: str, count: int | None = None) -> dict[str, str]:
        shared = self.config.resources.get(resource)
        suffix = "-SHARED" if shared and not shared.rename else ""
        values: dict[str, Any] = {
            "product": f"{product}{suffix}",
            "replicas": shared.replicas if shared else 1,
            "sharing-strategy": self.config.strategy if shared else "none",
        }
        return _of(resource, values | ({} if count is None else {"count": count}))


def _attributes(one: Slice) -> dict[str, Any]:
    profile = one.profile
    return {
        "memory": profile.memory_mib,
        "multiprocessors": profile.sms,
        "slices.gi": profile.compute_slices,
        "slices.ci": profile.compute_slices,
        "engines.copy": profile.copy_engines,
        "engines.decoder": profile.decoders,
        "engines.encoder": 0,
        "engines.jpeg": profile.jpegs,
        "engines.ofa": profile.ofa,
    }


def _of(resource: str, values: dict[str, Any]) -> dict[str, str]:
    return {f"{resource}.{key}": str(value) for key, value in values.items()}
