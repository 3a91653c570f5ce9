"""What the operator would change, given what it sees. Pure: nothing here speaks to the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpulab.sim.operator import dra_stack, labels, manifests, policy, status
from gpulab.sim.operator.operands import Operand

Object = dict[str, Any]
Key = tuple[str, str]  # kind and name
METRICS, PREREQUISITES = "state-operator-metrics", "pre-requisites"


@dataclass
class Observed:
    """What the operator's watches have seen."""

    nodes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels by node."""
    policies: dict[str, Object] = field(default_factory=dict)
    clusters: dict[str, Object] = field(default_factory=dict)
    """GPUClusters: one at most, the API server sees to it."""
    objects: dict[Key, Object] = field(default_factory=dict)
    """DaemonSets and what goes with them, in the operator's namespace; RuntimeClasses."""


@dataclass
class Plan:
    """Changes in the order in which they are made; each object with the state that it is of."""

    labels: dict[str, dict[str, str | None]] = field(default_factory=dict)
    delete: list[Key] = field(default_factory=list)
    create: list[tuple[str, Object]] = field(default_factory=list)
    update: list[tuple[str, Object]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Why the objects of a state cannot be made, by state."""
    missing: list[str] = field(default_factory=list)
    """States whose operand is not ready."""


def make(seen: Observed, operands: Sequence[Operand], with_pods: bool) -> Plan:
    """Compare what is there with what the ClusterPolicy in charge wants.

    Without `with_pods` the operands are simulated on the nodes, and no DaemonSet is made.
    """
    plan, owner = Plan(), policy.in_charge(seen.policies.values())
    if owner is None:
        return _claims(plan, seen) if with_pods else plan
    spec = policy.spec_of(owner)
    for name, found in seen.nodes.items():
        if change := labels.change(found, policy.mig_default(spec)):
            plan.labels[name] = change
    _prerequisites(plan, seen, owner)
    has_gpu = any(map(labels.has_gpu, seen.nodes.values()))
    for operand in operands if with_pods else ():
        if not policy.is_enabled(operand, spec):
            if ("DaemonSet", operand.name) in seen.objects:
                plan.delete.append(("DaemonSet", operand.name))
        elif has_gpu:
            _operand(plan, seen, operand, owner)
    return plan


def _claims(plan: Plan, seen: Observed) -> Plan:
    """Compare with what the GPUCluster wants, if there is one."""
    for cluster in seen.clusters.values():
        for name, found in seen.nodes.items():
            if change := dra_stack.label_change(found):
                plan.labels[name] = change
        owner = dra_stack.prepared(cluster)
        _create_missing(plan, seen, "state-dra-driver", dra_stack.device_classes(owner))
        for operand in dra_stack.operands():
            _operand(plan, seen, operand, owner)
    return plan


def _prerequisites(plan: Plan, seen: Observed, owner: Object) -> None:
    wanted = list(manifests.runtime_classes(owner))
    _create_missing(plan, seen, PREREQUISITES, wanted)
    _create_missing(plan, seen, METRICS, [manifests.operator_service(owner)])
    names = {each["metadata"]["name"] for each in wanted}
    for kind, name in seen.objects:
        if kind == "RuntimeClass" and name in manifests.RUNTIME_CLASSES and name not in names:
            plan.delete.append((kind, name))


def _operand(plan: Plan, seen: Observed, operand: Operand, owner: Object) -> None:
    try:
        wanted = manifests.daemon_set(operand, owner)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        plan.failures[operand.state] = str(error)
        return
    _create_missing(plan, seen, operand.state, manifests.accompanying(operand, owner))
    found = seen.objects.get(("DaemonSet", operand.name))
    if found is None:
        plan.create.append((operand.state, wanted))
        plan.missing.append(operand.state)
    elif _hash(found) != _hash(wanted):
        plan.update.append((operand.state, wanted))
        plan.missing.append(operand.state)
    elif not status.daemon_set_ready(found):
        plan.missing.append(operand.state)


def _create_missing(
    plan: Plan, seen: Observed, state: str, wanted: Iterator[Object] | Sequence[Object]
) -> None:
    known = seen.objects.keys() | {key_of(each) for _, each in plan.create}
    plan.create += [(state, each) for each in wanted if key_of(each) not in known]


def key_of(item: Object) -> Key:
    return item["kind"], item["metadata"]["name"]


def _hash(daemon_set: Object) -> str:
    found: str = (daemon_set["metadata"].get("annotations") or {}).get(manifests.HASH, "")
    return found


def statuses(seen: Observed, plan: Plan, namespace: str, now: str) -> dict[str, Object]:
    """The new status of each ClusterPolicy whose status is to change."""
    owner = policy.in_charge(seen.policies.values())
    found: dict[str, Object] = {}
    for name, each in seen.policies.items():
        before = each.get("status") or {}
        if owner is not None and name != owner["metadata"]["name"]:
            after = status.ignored(before, namespace)
        else:
            after = status.compose(before, verdict(seen, plan), namespace, now)
        if after != before:
            found[name] = after
    return found


def cluster_statuses(seen: Observed, plan: Plan, namespace: str, now: str) -> dict[str, Object]:
    """The new status of each GPUCluster whose status is to change."""
    said = dra_stack.verdict(seen.policies, plan.failures, plan.missing)
    every = ((name, each.get("status") or {}) for name, each in seen.clusters.items())
    after = {name: (old, status.compose(old, said, namespace, now)) for name, old in every}
    return {name: new for name, (old, new) in after.items() if new != old}


def verdict(seen: Observed, plan: Plan) -> tuple[str, str, str]:
    """State, reason and message for the ClusterPolicy in charge."""
    for state, cause in plan.failures.items():
        return status.failed(state, cause)
    if plan.missing:
        return status.not_ready(plan.missing)
    every = list(seen.nodes.values())
    return status.ready(any(map(labels.has_nfd, every)), any(map(labels.has_gpu, every)))
