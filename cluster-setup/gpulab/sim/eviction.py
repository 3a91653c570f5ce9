"""A Pod that has written more than it may is evicted.

After localStorageEviction in pkg/kubelet/eviction/eviction_manager.go v1.36.3, the texts in
helpers.go. What counts is what modelled commands write; pressure on a whole node is not simulated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autograders.cluster.quantities import parse as quantity
from gpulab.sim.container import Lifecycle
from gpulab.sim.messages import Event
from gpulab.sim.pod import PodWorker
from gpulab.sim.runtime import World
from gpulab.sim.scene import scene

Pod = Mapping[str, Any]
STORAGE = "ephemeral-storage"
PERIOD = 10.0  # evictionMonitoringPeriod in pkg/kubelet/kubelet.go
CRITICAL = 2_000_000_000  # priority from which a Pod is never evicted: IsCriticalPod


@dataclass(frozen=True)
class Usage:
    """Bytes that a Pod's containers have written."""

    containers: Mapping[str, int]
    """Outside volumes, by container."""
    volumes: Mapping[str, int]
    """By volume."""


async def watch(world: World, workers: Callable[[], Collection[PodWorker]]) -> None:
    """Look at every Pod that has a limit, for ever."""
    while True:
        await world.pass_time(PERIOD)
        for worker in list(workers()):
            if is_limited(worker.pod) and (event := excess(worker.pod, used(worker.lifecycles))):
                worker.evict(event)


def is_limited(pod: Pod) -> bool:
    """Whether what the Pod writes matters to anyone."""
    sized = any("sizeLimit" in (v.get("emptyDir") or {}) for v in pod["spec"].get("volumes") or [])
    critical = (pod["spec"].get("priority") or 0) >= CRITICAL
    return (sized or bool(_limits(pod))) and not critical


def excess(pod: Pod, usage: Usage) -> Event | None:
    """Why the Pod is to be evicted; None if it keeps its limits."""
    for volume in pod["spec"].get("volumes") or []:
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and 0 < quantity(limit) < usage.volumes.get(volume["name"], 0):
            text = f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
            return _evicted(text)
    limits = _limits(pod)
    whole = sum(quantity(limit) for limit in limits.values())
    if limits and sum(usage.containers.values()) + _on_disk(pod, usage) > whole:
        shown = next(iter(limits.values())) if len(limits) == 1 else str(int(whole))
        text = f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
        return _evicted(text)
    for name, limit in limits.items():
        if usage.containers.get(name, 0) > quantity(limit):
            text = f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
            return _evicted(text)
    return None


def used(lifecycles: Iterable[Lifecycle]) -> Usage:
    """What the running containers of a Pod have written."""
    scenes = {each.container.name: scene(each) for each in lifecycles if each.container.running}
    volumes = {name: size for each in scenes.values() for name, size in each.volumes().items()}
    return Usage({name: each.written() for name, each in scenes.items()}, volumes)


def _evicted(text: str) -> Event:
    return Event("Evicted", text, "Warning")


def _limits(pod: Pod) -> dict[str, str]:
    """Limits for local storage, by container."""
    found = {
        each["name"]: ((each.get("resources") or {}).get("limits") or {}).get(STORAGE)
        for each in pod["spec"]["containers"]
    }
    return {name: str(limit) for name, limit in found.items() if limit}


def _on_disk(pod: Pod, usage: Usage) -> int:
    """Bytes in emptyDir volumes that are not memory."""
    dirs = [v for v in pod["spec"].get("volumes") or [] if "emptyDir" in v]
    disks = [v["name"] for v in dirs if (v["emptyDir"] or {}).get("medium") != "Memory"]
    return sum(usage.volumes.get(name, 0) for name in disks)
