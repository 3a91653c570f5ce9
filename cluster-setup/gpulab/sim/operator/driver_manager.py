"""What k8s-driver-manager does before a driver is installed anew: it restarts the operands.

It pauses them by their labels and lets them come back. After NVIDIA/k8s-driver-manager bd62ca7,
cmd/driver-manager/main.go: where no driver was loaded it does nothing, and where the same version
was, it leaves workloads alone.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import aiohttp

from gpulab.sim.api import MERGE, ApiError
from gpulab.sim.kubelet import Kubelets
from gpulab.sim.operator.manifests import NAMESPACE
from gpulab.sim.runtime import NodeState, World

log = logging.getLogger(__name__)
Object = dict[str, Any]
ASKED, DONE = "driver-manager", "clients-gone"  # facts of its init container
PAUSED = "paused-for-driver-upgrade"
MANAGER = "driver-manager"  # as the manager of the fields that it writes
SECONDS = 300.0  # until it goes on all the same
CLIENTS = {
    f"nvidia.com/gpu.deploy.{suffix}": app
    for suffix, app in {
        "operator-validator": "nvidia-operator-validator",
        "container-toolkit": "nvidia-container-toolkit-daemonset",
        "device-plugin": "nvidia-device-plugin-daemonset",
        "gpu-feature-discovery": "gpu-feature-discovery",
        "dcgm-exporter": "nvidia-dcgm-exporter",
        "dcgm": "nvidia-dcgm",
        "mig-manager": "nvidia-mig-manager",
    }.items()
}


def pause(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of operands that run, with the value that takes them off the node."""
    return {key: PAUSED for key in CLIENTS if labels.get(key) == "true"}


def resume(labels: Mapping[str, str]) -> dict[str, str]:
    return {key: "true" for key in CLIENTS if labels.get(key) == PAUSED}


def has_used_driver(pod: Object) -> bool:
    """Whether a Pod's main containers have run."""
    found = pod["status"].get("containerStatuses") or []
    return any("waiting" not in each["state"] or each.get("lastState") for each in found)


def clients(pods: Iterable[Object]) -> list[Object]:
    """The operands among a node's Pods that use the driver."""
    apps = set(CLIENTS.values())
    mine = (pod for pod in pods if pod["metadata"]["namespace"] == NAMESPACE)
    return [pod for pod in mine if (pod["metadata"].get("labels") or {}).get("app") in apps]


class DriverManager:
    """Serves the init containers of all nodes."""

    def __init__(self, kubelets: Kubelets, world: World) -> None:
        self._kubelets, self._world = kubelets, world
        self._tasks: set[asyncio.Task[None]] = set()
        for state in kubelets.nodes.values():
            state.facts.listen(partial(self._changed, state))

    def _changed(self, node: NodeState, fact: str) -> None:
        if fact != ASKED:
            return
        if not node.facts.holds(ASKED):
            node.facts.withdraw(DONE)
            return
        task = asyncio.create_task(self._serve(node))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, node: NodeState) -> None:
        try:
            if not self._world.pace.hurried(dt.datetime.now(dt.UTC)):
                await self._clear(node)
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("driver manager of %s: %s", node.node.name, error)
        if node.facts.holds(ASKED):
            node.facts.provide(DONE, DONE, dt.datetime.now(dt.UTC))

    async def _clear(self, node: NodeState) -> None:
        if not any(map(has_used_driver, self._clients(node))):
            return
        await self._label(node, pause)
        async with asyncio.timeout(SECONDS):
            while self._clients(node):
                await asyncio.sleep(0.1)
        await self._label(node, resume)

    def _clients(self, node: NodeState) -> list[Object]:
        return clients(self._kubelets.pods_on(node.node.name))

    async def _label(self, node: NodeState, change: Any) -> None:
        path = f"/api/v1/nodes/{node.node.name}"
        labels = (await self._world.api.get(path))["metadata"].get("labels") or {}
        if wanted := change(labels):
            await self._world.api.patch(path, {"metadata": {"labels": wanted}}, MERGE, MANAGER)
