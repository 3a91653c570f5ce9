"""Single changes to the cluster, or to a Pod's rank in it, that may let a Pod fit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from autograders.cluster import resources, taints
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.proposals import Proposal, edit
from autograders.cluster.state import State, priority

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
            yield Proposal("uncordon", text, 40, pod, changed)


def edit_node(node: Node, change: Callable[[dict[str, Any]], None]) -> Node:
    changed = copy.deepcopy(node.object)
    change(changed)
    return Node(changed)


def wait_for(pod: Pod, state: State) -> Iterator[Proposal]:
    """A node becomes free when one of its Pods ends; the smaller, the sooner."""
    asked = [name for name in resources.requests(pod) if "/" in name]
    for place in state.places:
        for other in place.pods:
            rest = tuple(one for one in place.pods if one is not other)
            changed = state.with_place(replace(place, pods=rest))
            holds = sum(int(resources.held(other).get(name, Fraction(0))) for name in asked)
            text = f"wait until {other.namespace}/{other.name} on {place.node.name} ends"
            yield Proposal("wait", text, 50 + min(holds, 9), pod, changed)


def heal(pod: Pod, state: State) -> Iterator[Proposal]:
    """A node that has more built in than it offers."""
    for place in state.places:
        status = place.node.object.get("status") or {}
        for name in (each for each in resources.requests(pod) if "/" in each):
            built_in = (status.get("capacity") or {}).get(name)
            if built_in and int(built_in) > resources.offered(place.node, name):

                def mend(node: dict[str, Any], name: str = name, all_: Any = built_in) -> None:
                    node["status"]["allocatable"][name] = all_

                changed = state.with_place(replace(place, node=edit_node(place.node, mend)))
                ill = int(built_in) - resources.offered(place.node, name)
                text = f"mend {ill} unhealthy {name} of {place.node.name}"
                yield Proposal("heal", text, 70, pod, changed)


def raise_priority(pod: Pod, state: State) -> Iterator[Proposal]:
    highest = max((priority(one) for place in state.places for one in place.pods), default=None)
    if highest is not None and highest < LARGEST and priority(pod) <= highest:

        def lift(spec: dict[str, Any]) -> None:
            spec["priority"] = highest + 1
            spec["preemptionPolicy"] = "PreemptLowerPriority"

        text = f"give it a PriorityClass above {highest}"
        yield Proposal("priority", text, 80, edit(pod, lift), state, preempts=True)


OF_THE_CLUSTER = (uncordon, wait_for, heal, raise_priority)
