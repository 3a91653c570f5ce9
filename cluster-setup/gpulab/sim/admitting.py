"""What a kubelet does before a Pod may start: give it devices, ask the node's predicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpulab.sim import admission, messages, sandbox
from gpulab.sim.devices import DevicesUnavailable
from gpulab.sim.messages import Event
from gpulab.sim.nodes import GPU
from gpulab.sim.report import placed
from gpulab.sim.runtime import NodeState, World
from gpulab.sim.status import Container, gpus_of

Pod = dict[str, Any]


async def admit(
    world: World, node: NodeState, pod: Pod, inits: Sequence[Container], mains: Sequence[Container]
) -> Event | None:
    """Give the containers their devices; why the Pod is refused instead, None if it is not."""
    uid = pod["metadata"]["uid"]
    total = _devices(inits, mains)
    if total and (event := await sandbox.plugin_problem(node)):
        return event
    try:
        given = node.devices.take(total, uid)
    except DevicesUnavailable as error:
        return messages.devices_unavailable(GPU, error.asked, error.free)
    if event := await _refusal(world, node, pod):
        node.devices.free(uid)
        return event
    node.admitted[uid] = pod
    for container in inits:  # an init container's devices are reused by the next ones
        container.gpus = given[: gpus_of(container.spec)]
    for container in mains:
        count = gpus_of(container.spec)
        container.gpus, given = given[:count], given[count:]
    return None


def _devices(inits: Sequence[Container], mains: Sequence[Container]) -> int:
    together = sum(gpus_of(container.spec) for container in mains)
    return max([together, *(gpus_of(container.spec) for container in inits)])


async def _refusal(world: World, node: NodeState, pod: Pod) -> Event | None:
    """Ask the node's predicates about a Pod that no scheduler placed.

    A kubelet asks them about every Pod; the scheduler has just answered the same for its own.
    """
    if placed(pod):
        return None
    found = await world.api.get(f"/api/v1/nodes/{node.node.name}")
    labels, room = found["metadata"].get("labels") or {}, found["status"]["allocatable"]
    return admission.refusal(pod, labels, room, node.admitted.values())
