"""Which nodes a Pod names by name, label or field (plugins NodeName and NodeAffinity)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autograders.cluster import selectors
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.state import Filter, Place, Reason, State
from autograders.model import KubeObject

NAME = "metadata.name"
NOT_NAMED = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
CONFLICT = "pod affinity terms conflict"


def named(pod: Pod, state: State) -> Filter:
    def check(place: Place) -> Iterator[Reason]:
        if pod.node and pod.node != place.node.name:
            text = "node(s) didn't match the requested node name"
            yield Reason("NodeName", text, f"spec.nodeName is {pod.node}", True)

    return check


def listed(pod: Pod, state: State) -> Filter:
    """Before any other filter: nodes that the affinity does not name are not looked at."""
    names = field_names(pod)

    def check(place: Place) -> Iterator[Reason]:
        if names is not None and place.node.name not in names:
            wanted = ", ".join(sorted(names))
            yield Reason("NodeAffinity", NOT_NAMED, f"the affinity names {wanted}", True)

    return check


def chosen(pod: Pod, state: State) -> Filter:
    def check(place: Place) -> Iterator[Reason]:
        if not is_chosen(pod, place.node):
            text = "node(s) didn't match Pod's node affinity/selector"
            yield Reason("NodeAffinity", text, "; ".join(missing(pod, place.node)), True)

    return check


def terms(pod: Pod) -> tuple[KubeObject, ...] | None:
    """Alternatives of the required node affinity; None without one."""
    affinity: dict[str, Any] = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else tuple(required.get("nodeSelectorTerms") or ())


def is_chosen(pod: Pod, node: Node) -> bool:
    selector = pod.spec.get("nodeSelector") or {}
    if any(node.labels.get(key) != value for key, value in selector.items()):
        return False
    wanted = terms(pod)
    return wanted is None or any(term_holds(term, node) for term in wanted)


def term_holds(term: KubeObject, node: Node) -> bool:
    rules, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    name = {NAME: node.name}
    return bool(rules or fields) and (
        all(selectors.holds(rule, node.labels) for rule in rules)
        and all(selectors.holds(rule, name) for rule in fields)
    )


def field_names(pod: Pod) -> frozenset[str] | None:
    """Nodes that every alternative names, as a DaemonSet's Pods name theirs; None: any node."""
    wanted = terms(pod)
    if not wanted:
        return None
    found: set[str] = set()
    for term in wanted:
        fields = [each for each in term.get("matchFields") or () if each.get("operator") == "In"]
        if not fields:
            return None
        found |= set.intersection(*(set(each["values"]) for each in fields))
    return frozenset(found)


def missing(pod: Pod, node: Node) -> Iterator[str]:
    """What the node lacks, label by label."""
    for key, value in (pod.spec.get("nodeSelector") or {}).items():
        if node.labels.get(key) != value:
            yield f"needs {key}={value}, has {has(node, key)}"
    wanted = terms(pod) or ()
    if terms(pod) is not None and not any(term_holds(term, node) for term in wanted):
        yield " or ".join(map(lacking(node), wanted)) or "the node affinity has no alternative"


def lacking(node: Node) -> Any:
    def spell(term: KubeObject) -> str:
        rules = [
            rule
            for rule in term.get("matchExpressions") or ()
            if not selectors.holds(rule, node.labels)
        ]
        parts = [f"needs {selectors.spell(rule)}, has {has(node, rule['key'])}" for rule in rules]
        return " and ".join(parts) or "names other nodes"

    return spell


def has(node: Node, key: str) -> str:
    return node.labels.get(key, "no such label")
