"""What a new simulator takes over of a Pod that an earlier one ran, from its status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gpulab.sim.runtime import NodeState
from gpulab.sim.status import Container

Pod = dict[str, Any]
KINDS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def take_over(node: NodeState, pod: Pod, containers: Iterable[Container]) -> None:
    """Give the containers the states and devices that the Pod's status names."""
    status = pod["status"]
    entries = {entry["name"]: entry for kind in KINDS for entry in status.get(kind) or []}
    for container in containers:
        if entry := entries.get(container.name):
            _take_over(node, pod["metadata"]["uid"], container, entry)


def _take_over(node: NodeState, uid: str, container: Container, entry: dict[str, Any]) -> None:
    container.state = entry.get("state") or {}
    container.last = entry.get("lastState") or {}
    container.restarts = entry["restartCount"]
    container.started = bool(entry.get("started"))
    container.ready = entry["ready"] and "running" in container.state
    container.container_id = entry.get("containerID", "")
    container.image_id = entry.get("imageID", "")
    if container.image_id:
        node.images.add(container.spec["image"])
    held = [
        (resource["resourceID"], given["name"])
        for given in entry.get("allocatedResourcesStatus") or []
        if not given["name"].startswith("claim:")  # those are prepared again
        for resource in given["resources"]
    ]
    container.devices = node.devices.restore(held, uid)
