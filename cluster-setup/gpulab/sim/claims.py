"""ResourceClaims of a Pod: what the kubelet prepares before its containers may start.

After pkg/kubelet/cm/dra/manager.go v1.36.3. Which devices a claim has, the scheduler has decided.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from gpulab.sim import dra, messages
from gpulab.sim.api import ApiError
from gpulab.sim.device_map import Device
from gpulab.sim.messages import Event
from gpulab.sim.runtime import NodeState, World
from gpulab.sim.status import Container

Pod = dict[str, Any]
Say = Callable[[None, Event], Awaitable[None]]


class ClaimProblem(Exception):
    """Why a claim cannot be prepared, in the kubelet's words."""


def has_claims(pod: Pod) -> bool:
    return bool(pod["spec"].get("resourceClaims") or _extended(pod))


def bridged(pod: Pod) -> set[tuple[str, str]]:
    """Containers and their resources for which the scheduler has made a claim."""
    found = _extended(pod).get("requestMappings") or []
    return {(each["containerName"], each["resourceName"]) for each in found}


async def wait(
    world: World, node: NodeState, pod: Pod, containers: Sequence[Container], say: Say
) -> None:
    """Give the containers the devices of their claims; again and again until it succeeds."""
    while True:
        try:
            return await prepare(world, node, pod, containers)
        except ClaimProblem as problem:
            await say(None, messages.claims_unprepared(str(problem)))
        with contextlib.suppress(TimeoutError):
            limit = messages.SYNC_SECONDS / world.speed
            await asyncio.wait_for(node.facts.wait(dra.REGISTERED, True), limit)
            if node.facts.holds(dra.REGISTERED):
                await asyncio.sleep(0.2)


async def prepare(world: World, node: NodeState, pod: Pod, containers: Sequence[Container]) -> None:
    """Give the containers the devices of their claims, once."""
    results = {name: await _results(world, pod, claim) for name, claim in _named(pod)}
    every = {one.gpu.uuid for name in results for one in _devices(node, name, "", results)}
    if not node.devices.claim(
        pod["metadata"]["uid"], every
    ):  # words of ours: a real one does not ask
        named = ", ".join(claim for _, claim in _named(pod))
        cause = "a Pod still has the GPU from the device plugin"
        raise ClaimProblem(f"NodePrepareResources failed for ResourceClaim {named}: {cause}")
    for container in containers:
        given = [
            device
            for name, request in _wanted(pod, container)
            for device in _devices(node, name, request, results)
        ]
        container.devices = (*(one for one in container.devices if not one.claimed), *given)
    for device in (one for container in containers for one in container.devices):
        if device.claimed and device.slice is not None:
            _make_slice(node, device)


def release(node: NodeState, containers: Sequence[Container]) -> None:
    """Undo it: parts of GPUs that were made for a claim go with it."""
    for device in (one for container in containers for one in container.devices):
        mine = node.layout.get(device.gpu.uuid, ())
        if device.claimed and device.slice in mine:
            left = tuple(one for one in mine if one != device.slice)
            node.layout = {k: v for k, v in node.layout.items() if k != device.gpu.uuid}
            if left:
                node.layout[device.gpu.uuid] = left


def _make_slice(node: NodeState, device: Device) -> None:
    mine = node.layout.get(device.gpu.uuid, ())
    if device.slice is not None and device.slice not in mine:
        every = sorted((*mine, device.slice), key=lambda one: one.gi)
        node.layout = {**node.layout, device.gpu.uuid: tuple(every)}


def _named(pod: Pod) -> Iterator[tuple[str, str]]:
    """Names of claims in the Pod, and the objects that they stand for."""
    made = pod["status"].get("resourceClaimStatuses") or []
    names = {each["name"]: each.get("resourceClaimName") for each in made}
    for each in pod["spec"].get("resourceClaims") or []:
        if found := each.get("resourceClaimName") or names.get(each["name"]):
            yield each["name"], found
    if name := _extended(pod).get("resourceClaimName"):
        yield "", name


def _extended(pod: Pod) -> dict[str, Any]:
    """The claim that stands for extended resources, if the scheduler has made one."""
    return pod["status"].get("extendedResourceClaimStatus") or {}


def _wanted(pod: Pod, container: Container) -> Iterator[tuple[str, str]]:
    """Claim and request, empty for all of them, of a container."""
    for each in (container.spec.get("resources") or {}).get("claims") or []:
        yield each["name"], each.get("request", "")
    for each in _extended(pod).get("requestMappings") or []:
        if each["containerName"] == container.name:
            yield "", each["requestName"]


Result = tuple[str, dict[str, Any]]  # name of the claim, a result of its allocation


async def _results(world: World, pod: Pod, name: str) -> list[Result]:
    meta = pod["metadata"]
    path = f"/apis/resource.k8s.io/v1/namespaces/{meta['namespace']}/resourceclaims/{name}"
    try:
        claim = await world.api.get(path)
    except ApiError as error:
        raise ClaimProblem(f"fetch ResourceClaim {name}: {error.message}") from None
    status = claim.get("status") or {}
    users = [each["uid"] for each in status.get("reservedFor") or []]
    if meta["uid"] not in users:
        who, uid = f"pod {meta['name']} ({meta['uid']})", claim["metadata"]["uid"]
        raise ClaimProblem(f"{who} is not allowed to use ResourceClaim {name} ({uid})")
    devices = ((status.get("allocation") or {}).get("devices") or {}).get("results") or []
    return [(name, each) for each in devices]


def _devices(
    node: NodeState, name: str, request: str, results: dict[str, list[Result]]
) -> Iterator[Device]:
    for claim, each in results.get(name, []):
        if request and each["request"].partition("/")[0] != request:
            continue
        if each["driver"] != dra.DRIVER or not node.facts.holds(dra.REGISTERED):
            raise ClaimProblem(f"DRA driver {each['driver']} is not registered")
        found = dra.find(node.node.gpus, each["device"])
        if found is None:
            cause = f"requested device is not allocatable: {each['device']}"
            raise ClaimProblem(f"NodePrepareResources failed for ResourceClaim {claim}: {cause}")
        gpu, part = found
        uuid = part.uuid if part else gpu.uuid
        kind = f"claim:{name}/{request}" if request else f"claim:{name}"
        yield Device(uuid, kind if name else "", gpu, part, claimed=True)
