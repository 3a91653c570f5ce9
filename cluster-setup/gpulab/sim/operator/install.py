"""What `helm install gpu-operator` leaves in a cluster: cluster-setup/operator/install/*.yaml."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from gpulab.sim.api import Api, ApiError
from gpulab.sim.operator.cache import CLUSTERS, POLICIES
from gpulab.sim.operator.controller import Operator
from gpulab.sim.operator.operands import FOLDER, cluster_policy

Object = dict[str, Any]
HELM = "helm"  # as the manager of the fields
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATHS = {
    "CustomResourceDefinition": CRD,
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
}
NODES = "/api/v1/nodes?labelSelector=!gpulab.dev/real"  # the simulated ones
SECONDS = 60.0
PAUSE = 0.05


async def install(api: Api, operator: Operator, stack: str) -> None:
    """Create everything; what is there already stays as it is.

    Pods come once all nodes can take them, as on a cluster that has been there before, but after a
    minute in any case.
    """
    operator.hold()
    *first, deployment = _objects()
    for item in first:
        await _create(api, _path(item), item)
    for path in (POLICIES, CLUSTERS):
        await _until(api, path, lambda found: True)
    if stack == "dra":
        await _create(api, CLUSTERS, cluster_policy(FOLDER / "gpu-cluster.yaml"))
    else:
        await _create(api, POLICIES, cluster_policy())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            await _until(api, NODES, _take_pods if operator.with_pods else _any_takes)
    operator.release()
    await _create(api, _path(deployment), deployment)


def _path(item: Object) -> str:
    return PATHS[item["kind"]].format(item["metadata"].get("namespace"))


def _objects() -> Iterator[Object]:
    for path in sorted((FOLDER / "install").glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


async def _create(api: Api, path: str, item: Object) -> None:
    while True:
        try:
            await api.create(path, item, HELM)
        except ApiError as error:
            if _is_coming(error):
                await asyncio.sleep(PAUSE)
                continue
            if error.reason != "AlreadyExists":
                raise
        return


async def _until(api: Api, path: str, holds: Callable[[Object], bool]) -> None:
    while True:
        try:
            if holds(await api.get(path)):
                return
        except ApiError as error:
            if not _is_coming(error):
                raise
        await asyncio.sleep(PAUSE)


def _is_coming(error: ApiError) -> bool:
    """Whether the kind, or its namespace, will be there in a moment."""
    return error.status in (404, 429) or error.status >= 500


def _any_takes(nodes: Object) -> bool:
    return any(not node["spec"].get("taints") for node in nodes["items"] or [])


def _take_pods(nodes: Object) -> bool:
    return bool(nodes["items"]) and not any(n["spec"].get("taints") for n in nodes["items"])
