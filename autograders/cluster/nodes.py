"""What a node's object says about its GPUs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from autograders.cluster.pods import GPU
from autograders.cluster.quantities import parse
from autograders.model import KubeObject

PRODUCT = "nvidia.com/gpu.product"
MEMORY = "nvidia.com/gpu.memory"


@dataclass(frozen=True)
class Node:
    """A node as the API returned it."""

    object: KubeObject
    """The whole object."""

    @property
    def name(self) -> str:
        return str((self.object.get("metadata") or {}).get("name", ""))

    @property
    def labels(self) -> dict[str, str]:
        return (self.object.get("metadata") or {}).get("labels") or {}

    @property
    def taints(self) -> tuple[KubeObject, ...]:
        return tuple((self.object.get("spec") or {}).get("taints") or ())

    def allocatable(self, resource: str = GPU) -> int:
        """What Pods may have: falls when a device is unhealthy."""
        return self._amount("allocatable", resource)

    def capacity(self, resource: str = GPU) -> int:
        """What is built in: stays when a device is unhealthy."""
        return self._amount("capacity", resource)

    def _amount(self, which: str, resource: str) -> int:
        amounts = (self.object.get("status") or {}).get(which) or {}
        return int(parse(amounts.get(resource, 0)))

    @property
    def product(self) -> str:
        """The GPU's product label, without what sharing or MIG append to it; empty without GPUs."""
        label = self.labels.get(PRODUCT, "")
        return re.sub(r"(-SHARED|-MIG-.*)$", "", label)

    @property
    def gpu_memory_mib(self) -> int | None:
        """One GPU's memory as NVIDIA's feature discovery labels it."""
        label = self.labels.get(MEMORY, "")
        return int(label) if label.isdecimal() else None

    @property
    def cuda_version(self) -> str:
        """The highest CUDA version that the node's driver serves; empty when unlabelled."""
        for prefix in ("nvidia.com/cuda.runtime-version", "nvidia.com/cuda.runtime"):
            full = self.labels.get(f"{prefix}.full")
            parts = [self.labels.get(f"{prefix}.{part}") for part in ("major", "minor")]
            if full or all(parts):
                return full or ".".join(str(part) for part in parts)
        return ""

    @property
    def kubelet_minor(self) -> int | None:
        """36 for v1.36.3; None when it does not say."""
        info = (self.object.get("status") or {}).get("nodeInfo") or {}
        found = re.match(r"v1\.(\d+)", str(info.get("kubeletVersion", "")))
        return int(found[1]) if found else None

    @property
    def reports_devices(self) -> bool:
        """Does its kubelet say which device a container got? By default since 1.36 (KEP-4680)."""
        minor = self.kubelet_minor
        return minor is None or minor >= 36
