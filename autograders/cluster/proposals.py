"""Single changes to a Pod that may let it fit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from autograders.cluster import affinity, amounts, podaffinity, ports, resources, spread, taints
from autograders.cluster.pods import Pod
from autograders.cluster.quantities import parse
from autograders.cluster.state import Place, State
from autograders.model import KubeObject

MOST = 20
"""Values of one label, or amounts of one resource, that are proposed."""


@dataclass(frozen=True)
class Proposal:
    """One change, with the Pod and the cluster as they are after it."""

    kind: str
    """Two of one kind are never combined."""
    text: str
    """What to do."""
    size: int
    """How much it changes, to rank by."""
    pod: Pod
    """The Pod after the change."""
    state: State
    """The cluster after the change."""
    preempts: bool = False
    """Is it enough that the Pod may then take the place of others?"""
    where: str = ""
    """The only node that it changes; empty when it changes the Pod."""


def edit(pod: Pod, change: Callable[[dict[str, Any]], None]) -> Pod:
    """Apply a change to a copy of the Pod's spec."""
    changed = copy.deepcopy(pod.object)
    change(changed.setdefault("spec", {}))
    return Pod(changed)


def tolerate(pod: Pod, state: State) -> Iterator[Proposal]:
    found: dict[str, KubeObject] = {}
    for place in state.places:
        for taint in taints.untolerated(pod, place.node):
            found.setdefault(taints.spell(taint), taint)
    for text, taint in found.items():
        key, value, effect = (taint.get(each, "") for each in ("key", "value", "effect"))
        tolerance = {"key": key, "operator": "Equal", "value": value, "effect": effect}

        def add(spec: dict[str, Any], tolerance: KubeObject = tolerance) -> None:
            spec["tolerations"] = [*(spec.get("tolerations") or ()), tolerance]

        changed = edit(pod, add)
        own = key.startswith("node.kubernetes.io/")  # says that something is wrong with the node
        yield Proposal("tolerate", f"tolerate the taint {text}", 60 if own else 10, changed, state)


def select(pod: Pod, state: State) -> Iterator[Proposal]:
    """Another value of a label, or the label left out."""
    for key, value in (pod.spec.get("nodeSelector") or {}).items():
        others = {place.node.labels.get(key) for place in state.places} - {value, None}
        for other in sorted(map(str, others), key=lambda one: (not alike(value, one), one))[:MOST]:

            def put(spec: dict[str, Any], key: str = key, other: str = other) -> None:
                spec["nodeSelector"][key] = other

            text = f"select {key}={other} instead of {value}"
            size = 10 if alike(value, other) else 11
            yield Proposal("select", text, size, edit(pod, put), state)

        def drop(spec: dict[str, Any], key: str = key) -> None:
            del spec["nodeSelector"][key]

        yield Proposal("select", f"leave {key}={value} out", 12, edit(pod, drop), state)


def alike(one: str, other: str) -> bool:
    """Say whether one is a part of the other, as H100 is of NVIDIA-H100-80GB-HBM3."""
    return one.lower() in other.lower() or other.lower() in one.lower()


def drop_affinity(pod: Pod, state: State) -> Iterator[Proposal]:
    def drop(spec: dict[str, Any]) -> None:
        del spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    if affinity.terms(pod) is not None:
        yield Proposal("affinity", "drop the required node affinity", 14, edit(pod, drop), state)


def ask_less(pod: Pod, state: State) -> Iterator[Proposal]:
    """Of each resource, as much as is free on some node."""
    for name, amount in amounts.requests(pod).items():
        asked = amounts.units(name, amount)
        free = {offer(place, name) for place in state.places}
        for less in sorted((each for each in free if 0 < each < asked), reverse=True)[:MOST]:
            changed = edit(pod, lowering(name, asked - less))
            if amounts.units(name, amounts.requests(changed)[name]) <= less:
                old, new = (amounts.show(name, each) for each in (asked, less))
                gone = 10 * (asked - less) // asked
                text = f"ask for {new} {name} instead of {old}"
                yield Proposal(f"ask {name}", text, 20 + gone, changed, state)


def offer(place: Place, name: str) -> int:
    return resources.offered(place.node, name) - place.used.get(name, 0)


def lowering(name: str, units: int) -> Callable[[dict[str, Any]], None]:
    """Take so many units from the container that asks for most."""

    def change(spec: dict[str, Any]) -> None:
        def asked(container: dict[str, Any]) -> int:
            amount = ((container.get("resources") or {}).get("requests") or {}).get(name, 0)
            return amounts.units(name, parse(amount))

        largest = max(spec["containers"] + (spec.get("initContainers") or []), key=asked)
        left = max(0, asked(largest) - units)
        for field in ("requests", "limits"):
            if name in ((largest.get("resources") or {}).get(field) or {}):
                largest["resources"][field][name] = f"{left}m" if name == "cpu" else str(left)

    return change


def rename_resource(pod: Pod, state: State) -> Iterator[Proposal]:
    """Nobody offers this device, but nodes offer others of the same maker."""
    offers = {
        name
        for place in state.places
        for name in (place.node.object.get("status") or {}).get("allocatable") or {}
        if "/" in name and resources.offered(place.node, name)
    }
    for name in amounts.requests(pod):
        maker = name.partition("/")[0]
        if "/" in name and name not in offers:
            for other in sorted(each for each in offers if each.startswith(f"{maker}/")):
                text = f"ask for {other}, which nodes offer, instead of {name}"
                yield Proposal("rename", text, 13, edit(pod, renaming(name, other)), state)


def renaming(name: str, other: str) -> Callable[[dict[str, Any]], None]:
    def change(spec: dict[str, Any]) -> None:
        for container in spec["containers"] + (spec.get("initContainers") or []):
            for found in (container.get("resources") or {}).values():
                if isinstance(found, dict) and name in found:
                    found[other] = found.pop(name)

    return change


def free_ports(pod: Pod, state: State) -> Iterator[Proposal]:
    def drop(spec: dict[str, Any]) -> None:
        for container in spec["containers"] + (spec.get("initContainers") or []):
            for port in container.get("ports") or ():
                port.pop("hostPort", None)

    if ports.host_ports(pod):
        yield Proposal("ports", "leave hostPort out", 15, edit(pod, drop), state)


def drop_spread(pod: Pod, state: State) -> Iterator[Proposal]:
    def soften(spec: dict[str, Any]) -> None:
        for each in spec["topologySpreadConstraints"]:
            each["whenUnsatisfiable"] = "ScheduleAnyway"

    if spread.constraints(pod):
        text = "set whenUnsatisfiable: ScheduleAnyway"
        yield Proposal("spread", text, 16, edit(pod, soften), state)


def drop_pod_affinity(pod: Pod, state: State) -> Iterator[Proposal]:
    for kind in ("podAffinity", "podAntiAffinity"):

        def drop(spec: dict[str, Any], kind: str = kind) -> None:
            del spec["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"]

        if podaffinity.required(pod, kind):
            yield Proposal(kind, f"make the {kind} preferred", 17, edit(pod, drop), state)


OF_THE_POD = (
    tolerate,
    select,
    drop_affinity,
    ask_less,
    rename_resource,
    free_ports,
    drop_spread,
    drop_pod_affinity,
)
