"""The cluster as the exporter follows it: labels of nodes, and the Pods that matter to GPUs."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gpulab.exporter.gather import ailing, has_exporter, held, is_exporter, samples
from gpulab.exporter.occupancy import Loads
from gpulab.exporter.series import Seen
from gpulab.sim import causes
from gpulab.sim.api import Api
from gpulab.sim.causes import Injected
from gpulab.sim.device_map import is_device
from gpulab.sim.nodes import Node

log = logging.getLogger(__name__)
Object = dict[str, Any]
NODES = "/api/v1/nodes"
BOUND = "/api/v1/pods?fieldSelector=spec.nodeName!="
DEPLOY = "nvidia.com/gpu.deploy.dcgm-exporter"
WITH_PODS = 50  # nodes; in larger fleets the operator's Pods are not made


class Cluster:
    """Everything that a sample needs."""

    def __init__(self, api: Api, nodes: Mapping[str, Node], loads: Loads, faults: Path) -> None:
        self._api, self._nodes, self._loads, self._faults = api, nodes, loads, faults
        self._labels: dict[str, Mapping[str, str]] = {}
        self._pods: dict[str, dict[str, Object]] = {name: {} for name in nodes}  # by UID
        self._missing = {NODES, BOUND}

    @property
    def complete(self) -> bool:
        """Whether nodes and Pods have been listed."""
        return not self._missing

    async def follow(self) -> None:
        """Watch, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._api.follow(NODES, self._node_changed, self._nodes_listed))
            group.create_task(self._api.follow(BOUND, self._pod_changed, self._pods_listed))

    def seen(self) -> list[Seen]:
        """A sample of every GPU whose node has a dcgm-exporter."""
        now, faults = dt.datetime.now(dt.UTC), self._read_faults()
        found = [each for node in self._read() for each in self._samples(node, faults, now)]
        pods = (pod for each in self._pods.values() for pod in each.values())
        self._loads.forget(one.run for _, one in held(pods))
        return found

    def _read(self) -> Iterator[Node]:
        """Nodes that are there and whose exporter runs; in a large fleet, is asked for."""
        for name, node in self._nodes.items():
            labels = self._labels.get(name)
            if labels is None or not node.gpus:
                continue
            if len(self._nodes) > WITH_PODS:
                runs = labels.get(DEPLOY) == "true"
            else:
                runs = has_exporter(self._pods[name].values())
            if runs:
                yield node

    def _samples(self, node: Node, faults: list[Injected], now: dt.datetime) -> Iterator[Seen]:
        wrong = ailing(node, faults)
        return samples(node, list(self._pods[node.name].values()), wrong, self._loads, now)

    def _read_faults(self) -> list[Injected]:
        try:
            return causes.read(self._faults)
        except (msgspec.MsgspecError, OSError) as error:
            log.error("faults: %s: %s", self._faults, error)
            return []

    def _nodes_listed(self, items: list[Object]) -> None:
        self._labels = {i["metadata"]["name"]: i["metadata"].get("labels") or {} for i in items}
        self._missing.discard(NODES)

    async def _node_changed(self, event: str, item: Object) -> None:
        meta = item["metadata"]
        if event == "DELETED":
            self._labels.pop(meta["name"], None)
        else:
            self._labels[meta["name"]] = meta.get("labels") or {}

    def _pods_listed(self, items: list[Object]) -> None:
        for known in self._pods.values():
            known.clear()
        for item in items:
            self._take(item)
        self._missing.discard(BOUND)

    async def _pod_changed(self, event: str, item: Object) -> None:
        if event != "DELETED":
            self._take(item)
        elif item["spec"]["nodeName"] in self._pods:
            self._pods[item["spec"]["nodeName"]].pop(item["metadata"]["uid"], None)

    def _take(self, pod: Object) -> None:
        known = self._pods.get(pod["spec"]["nodeName"])
        if known is not None and (is_exporter(pod) or _asks(pod)):
            known[pod["metadata"]["uid"]] = pod


def _asks(pod: Object) -> bool:
    """Whether a container of it is given devices of NVIDIA's."""
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *spec["containers"]]
    limits = [(each.get("resources") or {}).get("limits") or {} for each in containers]
    return any(is_device(name) for one in limits for name in one)
