"""Single changes to the cluster, or to a Pod's rank in it, that may let a Pod fit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from autograders.cluster import amounts, resources, taints
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.proposals import Proposal, edit
from autograders.cluster.state import State, priority

MOST = 50
"""Pods whose end is proposed: those that hold least."""
LARGEST = 1_000_000_000
"""The highest priority that a user may give."""


def uncordon(pod: Pod, state: State) -> Iterator[Proposal]:
    for place in state.places:
        if taints.is_cordoned(place.node):

            def open_up(node: dict[str, Any]) -> None:
                node["spec"]["unschedulable"] = False
                found = node["spec"].get("taints") or ()
                node["spec"]["taints"] = [t for t in found if t["key"] != taints.CORDON["key"]]

            changed = state.with_place(replace(place, node=edit_node(place.node, open_up)))
            text = f"uncordon {place.node.name} (kubectl uncordon {place.node.name})"
            yield Proposal("uncordon", text, 40, pod, changed, where=place.node.name)


def edit_node(node: Node, change: Callable[[dict[str, Any]], None]) -> Node:
    changed = copy.deepcopy(node.object)
    change(changed)
    return Node(changed)


def wait_for(pod: Pod, state: State) -> Iterator[Proposal]:
    """A node becomes free when one of its Pods ends; the smaller, the sooner."""
    asked = [name for name in amounts.requests(pod) if "/" in name]

    def size(other: Pod) -> int:
        found = amounts.held(other)
        return min(9, sum(int(found.get(name, 0)) for name in asked))

    every = [(size(one), index, one) for index, at in enumerate(state.places) for one in at.pods]
    for holds, index, other in sorted(every, key=lambda each: each[:2])[:MOST]:
        place = state.places[index]
        rest = tuple(one for one in place.pods if one is not other)
        changed, name = state.with_place(replace(place, pods=rest)), place.node.name
        text = f"wait until {other.namespace}/{other.name} on {name} ends"
        yield Proposal("wait", text, 50 + holds, pod, changed, where=name)


def heal(pod: Pod, state: State) -> Iterator[Proposal]:
    """A node that has more built in than it offers."""
    for place in state.places:
        status = place.node.object.get("status") or {}
        for name in (each for each in amounts.requests(pod) if "/" in each):
            built_in = (status.get("capacity") or {}).get(name)
            if built_in and int(built_in) > resources.offered(place.node, name):

                def mend(node: dict[str, Any], name: str = name, all_: Any = built_in) -> None:
                    node["status"]["allocatable"][name] = all_

                changed = state.with_place(replace(place, node=edit_node(place.node, mend)))
                ill = int(built_in) - resources.offered(place.node, name)
                text = f"mend {ill} unhealthy {name} of {place.node.name}"
                yield Proposal("heal", text, 70, pod, changed, where=place.node.name)


def raise_priority(pod: Pod, state: State) -> Iterator[Proposal]:
    highest = max((priority(one) for place in state.places for one in place.pods), default=None)
    if highest is not None and highest < LARGEST and priority(pod) <= highest:

        def lift(spec: dict[str, Any]) -> None:
            spec["priority"] = highest + 1
            spec["preemptionPolicy"] = "PreemptLowerPriority"

        text = f"give it a PriorityClass above {highest}"
        yield Proposal("priority", text, 80, edit(pod, lift), state, preempts=True)


OF_THE_CLUSTER = (uncordon, wait_for, heal, raise_priority)
