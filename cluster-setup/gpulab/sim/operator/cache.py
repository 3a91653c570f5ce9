"""The operator's watches: they keep what `plan` looks at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gpulab.sim.api import Api
from gpulab.sim.operator.manifests import NAMESPACE
from gpulab.sim.operator.plan import Observed

Object = dict[str, Any]
NODES = "/api/v1/nodes"
POLICIES = "/apis/nvidia.com/v1/clusterpolicies"
CLUSTERS = "/apis/nvidia.com/v1alpha1/gpuclusters"
KINDS = {
    "DaemonSet": f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets",
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "ConfigMap": f"/api/v1/namespaces/{NAMESPACE}/configmaps",
    "Service": f"/api/v1/namespaces/{NAMESPACE}/services",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
    "DeviceClass": "/apis/resource.k8s.io/v1/deviceclasses",
}


class Cache:
    """Calls `changed` after each change that matters to the operator.

    `learn` is called with the labels of a node, at each change of the node.
    """

    def __init__(
        self,
        api: Api,
        changed: Callable[[], None],
        learn: Callable[[str, dict[str, str]], None],
    ) -> None:
        self._learn = learn
        self.seen = Observed()
        self._api, self._changed = api, changed
        self._missing = {"Node", "ClusterPolicy", "GPUCluster", *KINDS}

    @property
    def complete(self) -> bool:
        """Whether every kind has been listed."""
        return not self._missing

    async def follow(self) -> None:
        """Watch, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow("Node", NODES, self._node, self.seen.nodes))
            group.create_task(
                self._follow("ClusterPolicy", POLICIES, self._policy, self.seen.policies)
            )
            group.create_task(
                self._follow("GPUCluster", CLUSTERS, self._cluster, self.seen.clusters)
            )
            for kind, path in KINDS.items():
                group.create_task(self._follow_objects(kind, path))

    async def _follow(
        self,
        kind: str,
        path: str,
        take: Callable[[Object], None],
        known: dict[str, Any],
    ) -> None:
        def listed(items: list[Object]) -> None:
            known.clear()
            for item in items:
                take(item)
            self._missing.discard(kind)
            self._changed()

        async def changed(event: str, item: Object) -> None:
            name = item["metadata"]["name"]
            before = known.get(name)
            if event == "DELETED":
                known.pop(name, None)
            else:
                take(item)
            if known.get(name) != before:
                self._changed()

        await self._api.follow(path, changed, listed)

    def _node(self, item: Object) -> None:
        """Only labels: a heartbeat is no reason to look again."""
        name, labels = item["metadata"]["name"], item["metadata"].get("labels") or {}
        self.seen.nodes[name] = labels
        self._learn(name, labels)

    def _policy(self, item: Object) -> None:
        self.seen.policies[item["metadata"]["name"]] = item

    def _cluster(self, item: Object) -> None:
        self.seen.clusters[item["metadata"]["name"]] = item

    async def _follow_objects(self, kind: str, path: str) -> None:
        objects = self.seen.objects

        def listed(items: list[Object]) -> None:
            for key in [key for key in objects if key[0] == kind]:
                del objects[key]
            for item in items:
                objects[kind, item["metadata"]["name"]] = item
            self._missing.discard(kind)
            self._changed()

        async def changed(event: str, item: Object) -> None:
            key = kind, item["metadata"]["name"]
            if event == "DELETED":
                objects.pop(key, None)
            else:
                objects[key] = item
            self._changed()

        await self._api.follow(path, changed, listed)
