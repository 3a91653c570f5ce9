"""Whether a node has what a Pod asks for (plugin NodeResourcesFit)."""

from __future__ import annotations

from collections.abc import Iterator

from autograders.cluster.amounts import FIRST, is_counted, requests, show, units
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.quantities import parse
from autograders.cluster.state import Filter, Place, Reason, State
from autograders.model import KubeObject


def insufficient(pod: Pod, state: State) -> Filter:
    asked = {name: units(name, amount) for name, amount in requests(pod).items()}
    wanted = {name: amount for name, amount in asked.items() if amount and is_counted(name)}

    def check(place: Place) -> Iterator[Reason]:
        room = offered(place.node, "pods")
        if len(place.pods) + 1 > room:
            detail = f"{len(place.pods)} of {room} Pods are there"
            yield Reason("NodeResourcesFit", "Too many pods", detail)
        for name in sorted(wanted, key=rank):
            used, total = place.used.get(name, 0), offered(place.node, name)
            if wanted[name] > total - used:
                detail = f"asks for {show(name, wanted[name])}, {spell(name, total, used)}"
                text = f"Insufficient {name}"
                yield Reason("NodeResourcesFit", text, detail, wanted[name] > total)

    return check


def spell(name: str, total: int, used: int) -> str:
    free = max(0, total - used)
    return f"{show(name, free)} of {show(name, total)} {'is' if free == 1 else 'are'} free"


def rank(name: str) -> tuple[int, str]:
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def offered(node: Node, name: str) -> int:
    allocatable: KubeObject = (node.object.get("status") or {}).get("allocatable") or {}
    return units(name, parse(allocatable.get(name, 0)))
