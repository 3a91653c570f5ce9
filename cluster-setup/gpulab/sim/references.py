"""ConfigMaps and Secrets that a Pod names: what a kubelet needs before it can go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpulab.sim.api import Api, ApiError
from gpulab.sim.messages import Event

Object = Mapping[str, Any]
KINDS = {"configmaps": "configmap", "secrets": "secret"}
NAMES = {"configmaps": "ConfigMap", "secrets": "Secret"}


async def environment_problem(api: Api, namespace: str, container: Object) -> str | None:
    """Why the container's environment cannot be made, in the kubelet's words.

    Source: makeEnvironmentVariables in pkg/kubelet/kubelet_pods.go.
    """
    for resource, name, key, optional in _environment(container):
        found = await _read(api, resource, namespace, name)
        if optional:
            continue
        if found is None:
            return f'{KINDS[resource]} "{name}" not found'
        if key is not None and key not in {**(found.get("data") or {}), **_binary(found)}:
            return f"couldn't find key {key} in {NAMES[resource]} {namespace}/{name}"
    return None


async def mount_problem(api: Api, pod: Object) -> Event | None:
    """Why a volume cannot be set up; Pods wait for it as ContainerCreating."""
    namespace = pod["metadata"]["namespace"]
    for volume, resource, name, optional in _volumes(pod["spec"]):
        if not optional and await _read(api, resource, namespace, name) is None:
            cause = f'{KINDS[resource]} "{name}" not found'
            text = f'MountVolume.SetUp failed for volume "{volume}" : {cause}'
            return Event("FailedMount", text, "Warning")
    return None


def _environment(container: Object) -> Iterator[tuple[str, str, str | None, bool]]:
    """(resource, name, key, optional) of every reference in env and envFrom."""
    for source in container.get("envFrom") or []:
        for field, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if field in source:
                yield resource, source[field]["name"], None, bool(source[field].get("optional"))
    for variable in container.get("env") or []:
        origin = variable.get("valueFrom") or {}
        for field, resource in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if field in origin:
                one = origin[field]
                yield resource, one["name"], one["key"], bool(one.get("optional"))


def _volumes(spec: Object) -> Iterator[tuple[str, str, str, bool]]:
    """(volume, resource, name, optional) of every volume from a ConfigMap or Secret."""
    for volume in spec.get("volumes") or []:
        if one := volume.get("configMap"):
            yield volume["name"], "configmaps", one["name"], bool(one.get("optional"))
        if one := volume.get("secret"):
            yield volume["name"], "secrets", one["secretName"], bool(one.get("optional"))


def _binary(found: Object) -> Mapping[str, Any]:
    return found.get("binaryData") or {}


async def _read(api: Api, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
    try:
        return await api.get(f"/api/v1/namespaces/{namespace}/{resource}/{name}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
