"""The scheduler's predicates in its order; a node's first one that fails is its reason.

Order and words are those of Kubernetes 1.36: pkg/scheduler/apis/config/v1/default_plugins.go and
pkg/scheduler/framework/plugins. Volumes and resource claims are not computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autograders.cluster import affinity, podaffinity, ports, resources, spread, taints
from autograders.cluster.pods import Pod
from autograders.cluster.state import Filter, Place, Reason, State, priority

Reasons = tuple[Reason, ...]
FILTERS: tuple[Callable[[Pod, State], Filter], ...] = (
    affinity.listed,
    taints.cordoned,
    affinity.named,
    taints.tainted,
    affinity.chosen,
    ports.taken,
    resources.insufficient,
    spread.skewed,
    podaffinity.apart,
)


def judge(pod: Pod, state: State) -> tuple[Reasons, ...]:
    """For each node, in the order of the nodes, why it does not take the Pod."""
    prepared = prepare(pod, state)
    return tuple(judge_place(pod, place, state, prepared) for place in state.places)


def judge_place(
    pod: Pod, place: Place, state: State, prepared: tuple[Filter, ...] | None = None
) -> Reasons:
    """Judge one node: also with the Pods that were promised its room, if they matter as much.

    `prepared` are the filters if they are known to hold for this place as well.
    """
    promised = tuple(
        each for each in state.nominated.get(place.node.name, ()) if priority(each) >= priority(pod)
    )
    if promised:
        fuller = replace(place, pods=place.pods + promised)
        reasons = first_failing(prepare(pod, state.with_place(fuller)), fuller)
        if reasons:
            return reasons
    return first_failing(prepared or prepare(pod, state.with_place(place)), place)


def prepare(pod: Pod, state: State) -> tuple[Filter, ...]:
    return tuple(each(pod, state) for each in FILTERS)


def is_local(pod: Pod, state: State) -> bool:
    """Say whether a node's reasons rest on that node alone: nobody asks about neighbours."""
    kinds = ("podAffinity", "podAntiAffinity")
    guards = (one for place in state.places for one in place.pods)
    return not (
        spread.constraints(pod)
        or any(podaffinity.required(pod, kind) for kind in kinds)
        or any(podaffinity.required(one, "podAntiAffinity") for one in guards)
    )


def first_failing(prepared: tuple[Filter, ...], place: Place) -> Reasons:
    for check in prepared:
        reasons = tuple(check(place))
        if reasons:
            return reasons
    return ()


def histogram(reasons: tuple[Reasons, ...]) -> dict[str, int]:
    """Reason -> on how many nodes."""
    found: dict[str, int] = {}
    for each in reasons:
        for text in {reason.text for reason in each}:
            found[text] = found.get(text, 0) + 1
    return found


def sentence(reasons: tuple[Reasons, ...]) -> str:
    """Say it as the scheduler does.

    >>> sentence(((Reason("", "Insufficient cpu", ""),), (Reason("", "Insufficient cpu", ""),)))
    '0/2 nodes are available: 2 Insufficient cpu.'
    """
    counted = sorted(f"{count} {text}" for text, count in histogram(reasons).items())
    return f"0/{len(reasons)} nodes are available: {', '.join(counted)}."
