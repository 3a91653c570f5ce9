"""A few requests to any cluster, as JSON: all that recorder and test need of an API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
from lightkube.config.client_adapter import ConnectionParams

from autograders.connect import read_kubeconfig

Object = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
GROUPS = {
    "api/v1": {"ConfigMap", "Event", "Namespace", "Node", "Pod", "Secret", "ServiceAccount"},
    "apis/apps/v1": {"DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"},
    "apis/batch/v1": {"CronJob", "Job"},
}


class Refused(Exception):
    """The API server said no; `status` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Cluster:
    """One connection pool to one API server."""

    def __init__(self, kubeconfig: Path) -> None:
        config, _ = read_kubeconfig(kubeconfig, None)
        timeout = httpx2.Timeout(30, connect=5)
        options = ConnectionParams(timeout=timeout).httpx_params(config)
        self._client = httpx2.AsyncClient(
            **options, limits=httpx2.Limits(max_connections=64, keepalive_expiry=60)
        )

    async def __aenter__(self) -> Cluster:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, kind: str, name: str, namespace: str) -> Object | None:
        """One object, None if there is none."""
        try:
            return await self._request("GET", path(kind, namespace, name))
        except Refused as error:
            if error.status != 404:
                raise
            return None

    async def list(self, kind: str, namespace: str = "") -> Object:
        return await self._request("GET", path(kind, namespace))

    async def create(self, item: Object, namespace: str = "") -> None:
        await self._request("POST", path(item["kind"], namespace), item)

    async def patch(self, kind: str, name: str, namespace: str, body: Object) -> None:
        await self._request("PATCH", path(kind, namespace, name), body, STRATEGIC)

    async def delete(self, kind: str, name: str, namespace: str = "") -> None:
        await self._request("DELETE", path(kind, namespace, name))

    async def watch(self, kind: str, version: str) -> AsyncIterator[tuple[str, Object]]:
        """Every change in all namespaces since `version`."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "3600"}
        timeout = httpx2.Timeout(None, connect=5)
        async with self._client.stream("GET", path(kind), params=query, timeout=timeout) as answer:
            async for line in answer.aiter_lines():
                change = json.loads(line)
                if change["type"] == "ERROR":
                    raise Refused(change["object"]["code"], change["object"]["message"])
                yield change["type"], change["object"]

    async def _request(
        self, method: str, url: str, body: Object | None = None, kind: str = "application/json"
    ) -> Object:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind}
        answer = await self._client.request(method, url, content=content, headers=headers)
        if not answer.is_success:
            raise Refused(answer.status_code, answer.text[:500])
        return answer.json()  # type: ignore[no-any-return]


def path(kind: str, namespace: str = "", name: str = "") -> str:
    """Where objects of that kind are.

    >>> path("Job", "default", "pi")
    '/apis/batch/v1/namespaces/default/jobs/pi'
    """
    group = next(group for group, kinds in GROUPS.items() if kind in kinds)
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"/{group}{where}/{kind.lower()}s" + (f"/{name}" if name else "")


async def deadline(seconds: float, work: Any) -> bool:
    """Whether `work` ended in time."""
    try:
        await asyncio.wait_for(work, seconds)
    except TimeoutError:
        return False
    return True
