"""What a kubelet does before a Pod may start: give it devices, ask the node's predicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpulab.sim import admission, claims, messages, sandbox
from gpulab.sim.device_map import Device
from gpulab.sim.devices import DevicesUnavailable
from gpulab.sim.messages import Event
from gpulab.sim.report import placed
from gpulab.sim.runtime import NodeState, World
from gpulab.sim.status import Container, devices_of

Pod = dict[str, Any]
Containers = Sequence[Container]
Wanted = Mapping[tuple[str, str], int]  # container and resource → devices


async def admit(
    world: World, node: NodeState, pod: Pod, inits: Containers, mains: Containers
) -> Event | None:
    """Give the containers their devices; why the Pod is refused instead, None if it is not."""
    uid = pod["metadata"]["uid"]
    claimed = claims.bridged(pod)
    wanted = {
        (each.name, resource): count
        for each in (*inits, *mains)
        for resource, count in devices_of(each.spec).items()
        if (each.name, resource) not in claimed
    }
    event = await _give(node, uid, wanted, inits, mains) or await _refusal(world, node, pod)
    if event:
        node.devices.free(uid)
        for container in (*inits, *mains):
            container.devices = ()
        return event
    node.admitted[uid] = pod
    return None


async def _give(
    node: NodeState, uid: str, wanted: Wanted, inits: Containers, mains: Containers
) -> Event | None:
    for resource in sorted({resource for _, resource in wanted}):
        if event := await sandbox.plugin_problem(node, resource):
            return event
        asked = {name: count for (name, each), count in wanted.items() if each == resource}
        together = sum(asked.get(each.name, 0) for each in mains)
        most = max([together, *(asked.get(each.name, 0) for each in inits)])
        try:
            given = node.devices.take(resource, most, uid)
        except DevicesUnavailable as error:
            return messages.devices_unavailable(resource, error.asked, error.free)
        for container in inits:  # an init container's devices are reused by the next ones
            container.devices += given[: asked.get(container.name, 0)]
        for container in mains:
            count = asked.get(container.name, 0)
            container.devices += given[:count]
            given = given[count:]
        if refused := _refused(resource, (*inits, *mains)):
            return refused
    return None


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
