"""What a kubelet does before a Pod may start: give it devices, ask the node's predicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gpulab.sim import admission, messages, sandbox
from gpulab.sim.device_map import Device
from gpulab.sim.devices import DevicesUnavailable
from gpulab.sim.messages import Event
from gpulab.sim.report import placed
from gpulab.sim.runtime import NodeState, World
from gpulab.sim.status import Container, devices_of

Pod = dict[str, Any]
Containers = Sequence[Container]


async def admit(
    world: World, node: NodeState, pod: Pod, inits: Containers, mains: Containers
) -> Event | None:
    """Give the containers their devices; why the Pod is refused instead, None if it is not."""
    uid = pod["metadata"]["uid"]
    event = await _give(node, uid, inits, mains) or await _refusal(world, node, pod)
    if event:
        node.devices.free(uid)
        for container in (*inits, *mains):
            container.devices = ()
        return event
    node.admitted[uid] = pod
    return None


async def _give(node: NodeState, uid: str, inits: Containers, mains: Containers) -> Event | None:
    for resource in sorted({name for each in (*inits, *mains) for name in devices_of(each.spec)}):
        if event := await sandbox.plugin_problem(node, resource):
            return event
        try:
            given = node.devices.take(resource, _most(resource, inits, mains), uid)
        except DevicesUnavailable as error:
            return messages.devices_unavailable(resource, error.asked, error.free)
        for container in inits:  # an init container's devices are reused by the next ones
            container.devices += given[: _count(resource, container)]
        for container in mains:
            count = _count(resource, container)
            container.devices += given[:count]
            given = given[count:]
        if refused := _refused(resource, (*inits, *mains)):
            return refused
    return None


def _count(resource: str, container: Container) -> int:
    return devices_of(container.spec).get(resource, 0)


def _most(resource: str, inits: Containers, mains: Containers) -> int:
    together = sum(_count(resource, container) for container in mains)
    return max([together, *(_count(resource, container) for container in inits)])


def _refused(resource: str, containers: Iterable[Container]) -> Event | None:
    """What the device plugin says to a container that asks for several shared devices."""
    for container in containers:
        mine: list[Device] = [one for one in container.devices if one.resource == resource]
        if len(mine) > 1 and any(one.alone for one in mine):
            return messages.shared_too_many(resource, len(mine))
    return None


async def _refusal(world: World, node: NodeState, pod: Pod) -> Event | None:
    """Ask the node's predicates about a Pod that no scheduler placed.

    A kubelet asks them about every Pod; the scheduler has just answered the same for its own.
    """
    if placed(pod):
        return None
    found = await world.api.get(f"/api/v1/nodes/{node.node.name}")
    labels, room = found["metadata"].get("labels") or {}, found["status"]["allocatable"]
    return admission.refusal(pod, labels, room, node.admitted.values())
