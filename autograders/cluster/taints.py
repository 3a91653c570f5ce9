"""Cordons, taints and tolerations (plugins NodeUnschedulable and TaintToleration)."""

from __future__ import annotations

from collections.abc import Iterator

from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.state import Filter, Place, Reason, State
from autograders.model import KubeObject

CORDON: KubeObject = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
KEEPS_OUT = frozenset({"NoSchedule", "NoExecute"})


def cordoned(pod: Pod, state: State) -> Filter:
    def check(place: Place) -> Iterator[Reason]:
        if is_cordoned(place.node) and not is_tolerated(pod, CORDON):
            text = "node(s) were unschedulable"
            yield Reason("NodeUnschedulable", text, "it is cordoned (kubectl uncordon)", True)

    return check


def tainted(pod: Pod, state: State) -> Filter:
    def check(place: Place) -> Iterator[Reason]:
        taints = untolerated(pod, place.node)
        if taints:
            detail = f"not tolerated: {', '.join(spell(each) for each in taints)}"
            yield Reason("TaintToleration", "node(s) had untolerated taint(s)", detail, True)

    return check


def is_cordoned(node: Node) -> bool:
    return bool((node.object.get("spec") or {}).get("unschedulable"))


def untolerated(pod: Pod, node: Node) -> tuple[KubeObject, ...]:
    """All taints of a node that keep this Pod away."""
    return tuple(
        taint
        for taint in node.taints
        if taint.get("effect") in KEEPS_OUT and not is_tolerated(pod, taint)
    )


def is_tolerated(pod: Pod, taint: KubeObject) -> bool:
    return any(tolerates(each, taint) for each in pod.spec.get("tolerations") or ())


def tolerates(toleration: KubeObject, taint: KubeObject) -> bool:
    """An empty effect or key stands for all; `Gt` and `Lt` are off in 1.36."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    equal = (toleration.get("value") or "") == (taint.get("value") or "")
    return operator == "Exists" or (operator == "Equal" and equal)


def spell(taint: KubeObject) -> str:
    """Write a taint as `kubectl taint` takes it: `nvidia.com/gpu=present:NoSchedule`."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"
