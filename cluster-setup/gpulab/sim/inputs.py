"""What a container is given from ConfigMaps, Secrets and its own Pod: variables and files.

A kubelet reads them when it makes the container. After a restart of the simulator they are read
again, so a ConfigMap that has changed meanwhile shows its new values.
"""

from __future__ import annotations

import base64
import posixpath
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpulab.sim.api import Api

Object = Mapping[str, Any]
# In every Pod; its CA certificate is left out: one more request for each Pod that starts.
AUTOMATIC = "kube-api-access-"
TOKEN = b"gpulab issues no tokens to simulated containers"


@dataclass
class Inputs:
    """Environment variables, and files by absolute path."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def take(self, newer: Inputs) -> None:
        """Show the files as they are now; variables stay as they were at the start."""
        self.files = newer.files


async def load(api: Api, pod: Object, container: Object) -> Inputs:
    """Read all of it; what does not exist is left out (the kubelet has complained before)."""
    source = _Source(api, pod)
    environment = {name: value async for name, value in _environment(source, container)}
    files = {path: data async for path, data in _files(source, container)}
    return Inputs(environment, files)


def field_of(pod: Object, path: str) -> str:
    """A fieldRef's value.

    >>> field_of({"metadata": {"labels": {"app": "web"}}}, "metadata.labels['app']")
    'web'
    """
    before, _, key = path.partition("['")
    value: Any = pod
    for part in before.split("."):
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    if key:
        value = (value or {}).get(key.removesuffix("']"), "")
    if isinstance(value, Mapping):  # all labels, as the downward API writes them
        return "\n".join(f'{name}="{text}"' for name, text in sorted(value.items()))
    return str(value)


class _Source:
    """Reads each ConfigMap and Secret once."""

    def __init__(self, api: Api, pod: Object) -> None:
        self.pod = pod
        self._api = api
        self._known: dict[str, dict[str, bytes]] = {}

    async def read(self, resource: str, name: str) -> dict[str, bytes]:
        """All keys of a ConfigMap or a Secret; none if it does not exist."""
        from gpulab.sim.api import ApiError

        path = f"/api/v1/namespaces/{self.pod['metadata']['namespace']}/{resource}/{name}"
        if path not in self._known:
            try:
                found = await self._api.get(path)
            except ApiError as error:
                if error.status != 404:
                    raise
                found = {}
            self._known[path] = _keys(resource, found)
        return self._known[path]


def _keys(resource: str, found: Object) -> dict[str, bytes]:
    data = found.get("data") or {}
    if resource == "secrets":
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = found.get("binaryData") or {}
    text = {key: str(value).encode() for key, value in data.items()}
    return text | {key: base64.b64decode(value) for key, value in binary.items()}


async def _environment(source: _Source, container: Object) -> AsyncIterator[tuple[str, str]]:
    for one in container.get("envFrom") or []:
        for kind, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            keys = await source.read(resource, one[kind]["name"]) if kind in one else {}
            for key, value in keys.items():
                yield one.get("prefix", "") + key, value.decode(errors="replace")
    for variable in container.get("env") or []:
        found = await _value(source, variable.get("valueFrom") or {})
        if found is not None:
            yield variable["name"], found.decode(errors="replace")


async def _value(source: _Source, given: Object) -> bytes | None:
    for kind, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if kind in given:
            return (await source.read(resource, given[kind]["name"])).get(given[kind]["key"])
    return None


async def _files(source: _Source, container: Object) -> AsyncIterator[tuple[str, bytes]]:
    volumes = {volume["name"]: volume for volume in source.pod["spec"].get("volumes") or []}
    for mount in container.get("volumeMounts") or []:
        async for name, data in _volume(source, volumes.get(mount["name"], {})):
            inner = mount.get("subPath")
            if not inner:
                yield posixpath.join(mount["mountPath"], name), data
            elif name == inner:
                yield mount["mountPath"], data


async def _volume(source: _Source, volume: Object) -> AsyncIterator[tuple[str, bytes]]:
    for part in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
        for kind, resource in (("configMap", "configmaps"), ("secret", "secrets")):
            if kind in part and not volume["name"].startswith(AUTOMATIC):
                named = part[kind].get("secretName") or part[kind].get("name", "")
                keys = await source.read(resource, named)
                for item in _chosen(part[kind], keys):
                    yield item
        for item in (part.get("downwardAPI") or {}).get("items") or []:
            if path := (item.get("fieldRef") or {}).get("fieldPath"):
                yield item["path"], field_of(source.pod, path).encode()
        if "serviceAccountToken" in part:
            yield part["serviceAccountToken"]["path"], TOKEN


def _chosen(volume: Object, keys: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """All keys, or those that `items` lists under the paths that it gives them."""
    items = volume.get("items") or [{"key": key, "path": key} for key in keys]
    for item in items:
        if item["key"] in keys:
            yield item["path"], keys[item["key"]]
