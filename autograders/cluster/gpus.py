"""Who holds how many GPUs on which node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autograders.cluster.nodes import Node
from autograders.cluster.pods import GPU, Pod

HEALTHY = "Healthy"


@dataclass(frozen=True)
class Device:
    """One GPU that a container was given, as the kubelet reports it (KEP-4680)."""

    uuid: str
    """The device's ID."""
    health: str
    """`Healthy`, `Unhealthy` or `Unknown`."""

    @property
    def is_healthy(self) -> bool:
        return self.health == HEALTHY


@dataclass(frozen=True)
class Holding:
    """The GPUs that one Pod keeps from all others."""

    namespace: str
    """The Pod's namespace."""
    pod: str
    """The Pod's name."""
    gpus: int
    """How many."""
    devices: tuple[Device, ...] = ()
    """Which; empty before the Pod has started, or from a kubelet that does not say."""


@dataclass(frozen=True)
class Box:
    """One GPU of a node in a picture of it."""

    holder: str = ""
    """`namespace/pod`; empty when nobody keeps it."""
    device: Device | None = None
    """Which one it is, where the kubelet says."""
    is_healthy: bool = True

    @property
    def words(self) -> str:
        """For a tooltip, a reader without colours, a table."""
        health = "" if self.is_healthy else ", unhealthy"
        uuid = f", {self.device.uuid}" if self.device else ""
        return f"{self.holder or 'free'}{health}{uuid}"


@dataclass(frozen=True)
class Allocation:
    """One node's GPUs, counted as the scheduler counts them."""

    node: str
    """The node's name."""
    product: str
    """Its GPUs' product label; empty without GPUs."""
    allocatable: int
    """GPUs that Pods may have."""
    holdings: tuple[Holding, ...]
    """Who has some of them, by namespace and name."""
    capacity: int = 0
    """GPUs that are built in."""
    resource: str = GPU
    """What is counted: GPUs, or parts of them such as `nvidia.com/mig-1g.10gb`."""

    @property
    def kind(self) -> str:
        """The node's product, with what it is cut or shared into."""
        part = self.resource.removeprefix(GPU).removeprefix("nvidia.com/").lstrip(".")
        return f"{self.product} {part}".strip()

    @property
    def lost(self) -> int:
        """GPUs that are built in and given to no new Pod: their health failed."""
        return max(0, self.capacity - self.allocatable)

    @property
    def broken_and_free(self) -> int:
        """Lost GPUs that no Pod keeps."""
        kept = [device for each in self.holdings for device in each.devices]
        return max(0, self.lost - sum(not device.is_healthy for device in kept))

    @property
    def held(self) -> int:
        return sum(each.gpus for each in self.holdings)

    @property
    def free(self) -> int:
        """Never negative: a device may fail under a Pod that keeps it."""
        return max(0, self.allocatable - self.held)


def boxes(one: Allocation) -> tuple[Box, ...]:
    """Every GPU of a node: those that Pods keep, those that are free, those that are broken."""
    held = [box for holding in one.holdings for box in _held(holding)]
    idle = max(one.free, one.capacity - one.held - one.broken_and_free)
    return (*held, *[Box()] * idle, *[Box(is_healthy=False)] * one.broken_and_free)


def _held(holding: Holding) -> Iterator[Box]:
    holder = f"{holding.namespace}/{holding.pod}"
    known = holding.devices[: holding.gpus]
    for device in known:
        yield Box(holder, device, device.is_healthy)
    yield from [Box(holder)] * (holding.gpus - len(known))


def allocations(
    nodes: Iterable[Node], pods: Iterable[Pod], resource: str = GPU
) -> tuple[Allocation, ...]:
    """Count every node's GPUs, in the order of the nodes."""
    by_node: dict[str | None, list[Holding]] = {}
    for pod in pods:
        if pod.node and not pod.is_finished and pod.asks(resource):
            devices = tuple(_devices(pod, resource))
            holding = Holding(pod.namespace, pod.name, pod.asks(resource), devices)
            by_node.setdefault(pod.node, []).append(holding)
    return tuple(
        Allocation(
            node.name,
            node.product,
            node.allocatable(resource),
            tuple(sorted(by_node.get(node.name, ()), key=lambda one: (one.namespace, one.pod))),
            node.capacity(resource),
            resource,
        )
        for node in nodes
    )


def by_resource(nodes: Iterable[Node], pods: Iterable[Pod]) -> tuple[Allocation, ...]:
    """Count everything that nodes offer of GPUs: whole ones, slices, shared ones, each by itself.

    A node has one entry at least; what it no longer offers has none, unless a Pod keeps some of it.
    """
    pods = tuple(pods)
    return tuple(each for node in nodes for each in _resources_of(node, pods))


def _resources_of(node: Node, pods: tuple[Pod, ...]) -> Iterator[Allocation]:
    capacity: dict[str, str] = (node.object.get("status") or {}).get("capacity") or {}
    others = sorted(name for name in capacity if name.startswith("nvidia.com/") and name != GPU)
    found = [allocations([node], pods, resource)[0] for resource in (GPU, *others)]
    parts = [each for each in found[1:] if each.allocatable or each.holdings]
    if found[0].allocatable or found[0].holdings or not parts:
        yield found[0]
    yield from parts


def _devices(pod: Pod, resource: str) -> Iterator[Device]:
    """Each device once: an init container's are used again by those after it."""
    found = {}
    for container in pod.all_containers:
        for allocated in container.status.get("allocatedResourcesStatus") or ():
            if allocated.get("name") == resource:
                for one in allocated.get("resources") or ():
                    found[str(one.get("resourceID", ""))] = str(one.get("health") or "Unknown")
    return (Device(uuid, health) for uuid, health in found.items())


def names_product(text: str, product: str) -> bool:
    """Say whether a text, such as nvidia-smi's table, names this product.

    Labels have dashes for spaces, and the table shortens long names with dots.

    >>> names_product("|   0  NVIDIA H100 80GB HBM3   On |", "NVIDIA-H100-80GB-HBM3")
    True
    """
    if not product:
        return False
    dashed = text.replace(" ", "-")
    shortened = re.findall(r"(NVIDIA-[\w-]{6,}?)-?\.\.\.", dashed)
    return product in dashed or any(product.startswith(each) for each in shortened)
