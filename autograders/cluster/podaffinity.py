"""Which Pods must or must not stand together (plugin InterPodAffinity)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from autograders.cluster import selectors
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.state import Filter, Place, Reason, State, labels_of
from autograders.model import KubeObject

Domain = tuple[str, str]  # a label of nodes and its value
TOGETHER = "node(s) didn't match pod affinity rules"
APART = "node(s) didn't match pod anti-affinity rules"
KEPT_OUT = "node(s) didn't satisfy existing pods anti-affinity rules"
reason = partial(Reason, "InterPodAffinity")


def apart(pod: Pod, state: State) -> Filter:
    wanted, unwanted = required(pod, "podAffinity"), required(pod, "podAntiAffinity")
    friends = near(pod, wanted, state)
    foes = domains_of(pod, unwanted, state)
    guarded = guarded_domains(pod, state)
    first = not friends and bool(wanted) and all(selects(t, pod, pod, state) for t in wanted)

    def check(place: Place) -> Iterator[Reason]:
        labels = place.node.labels
        keys = [term["topologyKey"] for term in wanted]
        lacking = [key for key in keys if key not in labels]
        alone = [key for key in keys if key in labels and (key, labels[key]) not in friends]
        if lacking:
            yield reason(TOGETHER, f"the node has no label {lacking[0]}", True)
        elif alone and not first:
            yield reason(TOGETHER, f"no such Pod in {alone[0]}={labels[alone[0]]}", True)
        elif foe := next((foes[each] for each in labels.items() if each in foes), None):
            yield reason(APART, f"it must not be near {foe.namespace}/{foe.name}")
        elif foe := next((guarded[each] for each in labels.items() if each in guarded), None):
            yield reason(KEPT_OUT, f"{foe.namespace}/{foe.name} keeps it away")

    return check


def required(pod: Pod, kind: str) -> tuple[KubeObject, ...]:
    found = ((pod.spec.get("affinity") or {}).get(kind)) or {}
    return tuple(found.get("requiredDuringSchedulingIgnoredDuringExecution") or ())


def near(pod: Pod, terms: tuple[KubeObject, ...], state: State) -> frozenset[Domain]:
    """Where a Pod stands that all terms select."""
    return frozenset(
        domain
        for place, other in placed(state)
        if terms and all(selects(term, pod, other, state) for term in terms)
        for domain in domains(terms, place.node)
    )


def domains_of(pod: Pod, terms: tuple[KubeObject, ...], state: State) -> dict[Domain, Pod]:
    """Where a Pod stands that a term selects, and one of those Pods."""
    return {
        domain: other
        for place, other in placed(state)
        for term in terms
        if selects(term, pod, other, state)
        for domain in domains((term,), place.node)
    }


def guarded_domains(pod: Pod, state: State) -> dict[Domain, Pod]:
    """Where a Pod stands whose own anti-affinity selects this one."""
    return {
        domain: other
        for place, other in placed(state)
        for term in required(other, "podAntiAffinity")
        if selects(term, other, pod, state)
        for domain in domains((term,), place.node)
    }


def placed(state: State) -> Iterator[tuple[Place, Pod]]:
    return ((place, other) for place in state.places for other in place.pods)


def domains(terms: tuple[KubeObject, ...], node: Node) -> Iterator[Domain]:
    for term in terms:
        key = term["topologyKey"]
        if key in node.labels:
            yield key, node.labels[key]


def selects(term: KubeObject, owner: Pod, other: Pod, state: State) -> bool:
    """Say whether a term of the owner's speaks of the other Pod."""
    names, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    if not names and selector is None:
        names = (owner.namespace,)
    labels = state.namespaces.get(other.namespace, {})
    inside = other.namespace in names or selectors.matches(selector, labels)
    return inside and selectors.matches(term.get("labelSelector"), labels_of(other.object))
