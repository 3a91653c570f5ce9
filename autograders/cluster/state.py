"""The cluster as the scheduler sees it: nodes, and on each the Pods that count there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from autograders.cluster.amounts import held, units
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.model import KubeObject

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Reason:
    """Why one node does not take a Pod."""

    predicate: str
    """The scheduler's plugin: `NodeResourcesFit`."""
    text: str
    """In the scheduler's words: `Insufficient nvidia.com/gpu`."""
    detail: str
    """What is behind it here: `asks for 8, 2 of 8 are free`."""
    final: bool = False
    """Would it stay so with every other Pod of the node gone?"""


@dataclass(frozen=True)
class Place:
    """One node with its Pods."""

    node: Node
    """The node."""
    pods: tuple[Pod, ...]
    """Pods that are bound to it and have not finished."""

    @cached_property
    def used(self) -> dict[str, int]:
        """Resource -> what its Pods hold, in the scheduler's units."""
        found: dict[str, int] = {}
        for pod in self.pods:
            for name, amount in held(pod).items():
                found[name] = found.get(name, 0) + units(name, amount)
        return found


@dataclass(frozen=True)
class State:
    """Everything that a decision of the scheduler rests on."""

    places: tuple[Place, ...]
    """One for each node, in the order of the nodes."""
    namespaces: Mapping[str, Labels]
    """Namespace -> its labels."""
    nominated: Mapping[str, tuple[Pod, ...]]
    """Node -> Pods without a node that preempted others there and wait for the room."""

    def with_place(self, place: Place) -> State:
        """Put this in the place of the same node's."""
        same = place.node.name
        return replace(
            self, places=tuple(place if one.node.name == same else one for one in self.places)
        )


Filter = Callable[[Place], Iterable[Reason]]
"""One predicate for one Pod: nothing when the place passes."""


def see(
    pod: Pod, nodes: Iterable[Node], pods: Iterable[Pod], namespaces: Iterable[KubeObject]
) -> State:
    """Sort all Pods but the one in question to their nodes."""
    bound: dict[str, list[Pod]] = {}
    nominated: dict[str, tuple[Pod, ...]] = {}
    for other in pods:
        if same(other, pod) or other.is_finished:
            continue
        if other.node:
            bound.setdefault(other.node, []).append(other)
        elif name := other.status.get("nominatedNodeName"):
            nominated[name] = (*nominated.get(name, ()), other)
    places = tuple(Place(node, tuple(bound.get(node.name, ()))) for node in nodes)
    return State(places, {name_of(one): labels_of(one) for one in namespaces}, nominated)


def same(one: Pod, other: Pod) -> bool:
    return (one.namespace, one.name) == (other.namespace, other.name)


def name_of(found: KubeObject) -> str:
    return str((found.get("metadata") or {}).get("name", ""))


def labels_of(found: KubeObject) -> Labels:
    return (found.get("metadata") or {}).get("labels") or {}


def priority(pod: Pod) -> int:
    return int(pod.spec.get("priority") or 0)
