"""`kubectl top`: the API metrics.k8s.io/v1beta1, aggregated into the real API server.

Nothing is measured. A running container uses a steady, small share of what it requests: equal
Pods show equal numbers, and they do not change with time.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from autograders.cluster.quantities import parse
from gpulab.sim.api import MERGE, Api, ApiError, Object
from gpulab.sim.config import Config
from gpulab.sim.listening import listen
from gpulab.sim.times import stamp

GROUP = "metrics.k8s.io/v1beta1"
PREFIX = f"/apis/{GROUP}"
WINDOW = "15s"
CPU_SHARE, MEMORY_SHARE = 0.1, 0.5  # of the request
IDLE_CPU, IDLE_MEMORY = 0.001, 6 * 2**20  # of a container without requests
SYSTEM_SHARE = 0.01  # of a node's CPU, for what is not a Pod
SYSTEM_MEMORY = 1.5 * 2**30
Usage = tuple[float, float]  # cores and bytes


class Metrics:
    """Serves nodes and pods; the API server asks, after it has checked the user's rights."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(PREFIX, self._resources),
            web.get(f"{PREFIX}/nodes", self._nodes),
            web.get(f"{PREFIX}/nodes/{{name}}", self._node),
            web.get(f"{PREFIX}/pods", self._pods),
            web.get(f"{PREFIX}/namespaces/{{namespace}}/pods", self._pods),
            web.get(f"{PREFIX}/namespaces/{{namespace}}/pods/{{name}}", self._pod),
        ]

    async def _resources(self, request: web.Request) -> web.Response:
        verbs = ["get", "list"]
        resources = [
            {"name": name, "singularName": "", "namespaced": spaced, "kind": kind, "verbs": verbs}
            for name, kind, spaced in (
                ("nodes", "NodeMetrics", False),
                ("pods", "PodMetrics", True),
            )
        ]
        more = {"groupVersion": GROUP, "resources": resources}
        return web.json_response({"kind": "APIResourceList", "apiVersion": "v1", **more})

    async def _pods(self, request: web.Request) -> web.Response:
        namespace = request.match_info.get("namespace")
        path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        found = await self._list(path, request)
        return _listed("PodMetrics", [_pod(pod) for pod in found if _runs(pod)])

    async def _pod(self, request: web.Request) -> web.Response:
        where, name = request.match_info["namespace"], request.match_info["name"]
        pod = await self._get(f"/api/v1/namespaces/{where}/pods/{name}")
        if pod is None or not _runs(pod):
            return _missing("pods", name)
        return web.json_response(_pod(pod))

    async def _nodes(self, request: web.Request) -> web.Response:
        nodes = await self._list("/api/v1/nodes", request)
        pods = await self._list("/api/v1/pods")
        return _listed("NodeMetrics", [_node(node, pods) for node in nodes])

    async def _node(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        node = await self._get(f"/api/v1/nodes/{name}")
        if node is None:
            return _missing("nodes", name)
        pods = await self._list(f"/api/v1/pods?fieldSelector=spec.nodeName={name}")
        return web.json_response(_node(node, pods))

    async def _list(self, path: str, request: web.Request | None = None) -> list[Object]:
        """The real objects, chosen by the same selectors."""
        query = request.query if request is not None else {}
        chosen = {key: query[key] for key in ("labelSelector", "fieldSelector") if key in query}
        try:
            answer = await self._api.get(f"{path}?{urlencode(chosen)}" if chosen else path)
        except ApiError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return answer["items"] or []

    async def _get(self, path: str) -> Object | None:
        try:
            return await self._api.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def used(container: Mapping[str, Any]) -> Usage:
    """What a running container uses: a share of its request that its name decides, ±20 %."""
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    wobble = 0.8 + (zlib.crc32(str(container["name"]).encode()) % 41) / 100
    cpu = float(parse(requests.get("cpu", 0))) * CPU_SHARE * wobble
    memory = float(parse(requests.get("memory", 0))) * MEMORY_SHARE * wobble
    limit = float(parse(limits.get("memory", "8Ei")))
    return max(cpu, IDLE_CPU), min(max(memory, IDLE_MEMORY), limit / 2)


def _usage(cores: float, size: float) -> dict[str, str]:
    return {"cpu": f"{int(cores * 1e9)}n", "memory": f"{int(size) // 1024}Ki"}


def _runs(pod: Object) -> bool:
    return bool(_running(pod))


def _running(pod: Object) -> list[Mapping[str, Any]]:
    """Specs of the containers that run."""
    status = pod.get("status") or {}
    names = {
        entry["name"]
        for key in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
        for entry in status.get(key) or []
        if "running" in (entry.get("state") or {})
    }
    kinds = ("initContainers", "containers", "ephemeralContainers")
    return [spec for kind in kinds for spec in pod["spec"].get(kind) or [] if spec["name"] in names]


def _pod(pod: Object) -> dict[str, Any]:
    containers = [{"name": one["name"], "usage": _usage(*used(one))} for one in _running(pod)]
    return _object("PodMetrics", pod) | {"containers": containers}


def _node(node: Object, pods: Iterable[Object]) -> dict[str, Any]:
    name = node["metadata"]["name"]
    mine = [used(c) for pod in pods if pod["spec"].get("nodeName") == name for c in _running(pod)]
    cores = float(parse(node["status"]["capacity"]["cpu"])) * SYSTEM_SHARE
    usage = _usage(cores + sum(cpu for cpu, _ in mine), SYSTEM_MEMORY + sum(m for _, m in mine))
    return _object("NodeMetrics", node) | {"usage": usage}


def _object(kind: str, of: Object) -> dict[str, Any]:
    meta = {
        key: of["metadata"][key] for key in ("name", "namespace", "labels") if key in of["metadata"]
    }
    now = stamp(dt.datetime.now(dt.UTC))
    head = {"kind": kind, "apiVersion": GROUP, "metadata": meta | {"creationTimestamp": now}}
    return head | {"timestamp": now, "window": WINDOW}


def _listed(kind: str, items: list[dict[str, Any]]) -> web.Response:
    return web.json_response(
        {"kind": f"{kind}List", "apiVersion": GROUP, "metadata": {}, "items": items}
    )


def _missing(resource: str, name: str) -> web.Response:
    text = f'{resource}.metrics.k8s.io "{name}" not found'
    details = {"name": name, "group": "metrics.k8s.io", "kind": resource}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    body = status | {"message": text, "reason": "NotFound", "details": details, "code": 404}
    return web.json_response(body, status=404)


async def serve(api: Api, config: Config) -> None:
    """Serve until cancelled, after the API server was told where."""
    await _register(api, config)
    where = (config.address, config.metrics_port)
    await listen(Metrics(api).routes(), config.metrics, config.metrics_client, where)


async def _register(api: Api, config: Config) -> None:
    """An APIService, and the Service that it names."""
    name, namespace = "metrics-server", "kube-system"
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": config.host},
    }
    spec = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"name": name, "namespace": namespace, "port": config.metrics_port},
        "caBundle": b64encode(Path(config.authority).read_bytes()).decode(),
    }
    entry = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": spec,
    }
    await _ensure(api, f"/api/v1/namespaces/{namespace}/services", service)
    await _ensure(api, "/apis/apiregistration.k8s.io/v1/apiservices", entry)


async def _ensure(api: Api, path: str, body: Object) -> None:
    while True:
        try:
            await api.create(path, body)
            return
        except ApiError as error:
            if error.reason == "AlreadyExists":
                break
            if error.status != 404:  # a new cluster makes its namespaces a moment later
                raise
        await asyncio.sleep(0.2)
    await api.patch(f"{path}/{body['metadata']['name']}", {"spec": body["spec"]}, MERGE)
