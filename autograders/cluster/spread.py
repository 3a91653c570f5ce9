"""How evenly Pods must stand over zones or nodes (plugin PodTopologySpread)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from autograders.cluster import selectors
from autograders.cluster.affinity import is_chosen
from autograders.cluster.nodes import Node
from autograders.cluster.pods import Pod
from autograders.cluster.state import Filter, Labels, Place, Reason, State, labels_of
from autograders.cluster.taints import untolerated
from autograders.model import KubeObject

SKEWED = "node(s) didn't match pod topology spread constraints"
NO_LABEL = f"{SKEWED} (missing required label)"


def skewed(pod: Pod, state: State) -> Filter:
    found = constraints(pod)
    rules = [Rule(pod, each, state, keys_of(found)) for each in found]

    def check(place: Place) -> Iterator[Reason]:
        for rule in rules:
            reason = rule.check(place.node)
            if reason:
                yield reason
                return

    return check


def constraints(pod: Pod) -> tuple[KubeObject, ...]:
    """Only those that keep a Pod waiting; ScheduleAnyway is a wish."""
    found = pod.spec.get("topologySpreadConstraints") or ()
    return tuple(each for each in found if each.get("whenUnsatisfiable") != "ScheduleAnyway")


def keys_of(found: tuple[KubeObject, ...]) -> frozenset[str]:
    return frozenset(each["topologyKey"] for each in found)


@dataclass(frozen=True)
class Rule:
    """One constraint of one Pod, counted over the cluster."""

    pod: Pod
    """The Pod to be placed."""
    spec: KubeObject
    """The constraint."""
    state: State
    """Where the others are."""
    keys: frozenset[str]
    """Labels that a node must have to count at all: those of all constraints."""

    def check(self, node: Node) -> Reason | None:
        key, most = self.spec["topologyKey"], int(self.spec.get("maxSkew", 1))
        if key not in node.labels:
            return Reason("PodTopologySpread", NO_LABEL, f"the node has no label {key}", True)
        here = self.counts.get(node.labels[key], 0)
        skew = here + int(self.selects(labels_of(self.pod.object))) - self.least
        if skew <= most:
            return None
        where = f"{key}={node.labels[key]}"
        detail = f"{where} has {here} such Pods, the emptiest {self.least}; maxSkew is {most}"
        return Reason("PodTopologySpread", SKEWED, detail)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Value of the label -> Pods there."""
        found: dict[str, int] = {}
        for place in self.state.places:
            if self.keys <= place.node.labels.keys() and self.counts_node(place.node):
                value = place.node.labels[self.spec["topologyKey"]]
                found[value] = found.get(value, 0) + sum(map(self.counts_pod, place.pods))
        return found

    @property
    def least(self) -> int:
        if len(self.counts) < int(self.spec.get("minDomains") or 1):
            return 0
        return min(self.counts.values())

    def counts_node(self, node: Node) -> bool:
        by_affinity = self.spec.get("nodeAffinityPolicy", "Honor") == "Honor"
        by_taints = self.spec.get("nodeTaintsPolicy", "Ignore") == "Honor"
        return not (
            (by_affinity and not is_chosen(self.pod, node))
            or (by_taints and untolerated(self.pod, node))
        )

    def counts_pod(self, other: Pod) -> bool:
        """Other Pods of the namespace that are not on their way out."""
        return (
            other.namespace == self.pod.namespace
            and not other.meta.get("deletionTimestamp")
            and not self.selects_all
            and self.selects(labels_of(other.object))
        )

    @property
    def same(self) -> dict[str, str]:
        """Of matchLabelKeys: labels that must be as the Pod's own."""
        own = labels_of(self.pod.object)
        return {key: own[key] for key in self.spec.get("matchLabelKeys") or () if key in own}

    @property
    def selects_all(self) -> bool:
        """An empty selector counts no Pod, although it selects all."""
        return selectors.is_empty(self.spec.get("labelSelector")) and not self.same

    def selects(self, labels: Labels) -> bool:
        return selectors.matches(self.spec.get("labelSelector"), labels) and all(
            labels.get(key) == value for key, value in self.same.items()
        )
