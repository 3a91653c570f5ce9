"""What a kubelet refuses although the Pod is bound to its node (pkg/kubelet/lifecycle)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from autograders.cluster.quantities import parse as quantity
from gpulab.sim import messages
from gpulab.sim.messages import Event

Object = Mapping[str, Any]
UNITS = {"cpu": 1000, "memory": 1, "ephemeral-storage": 1}  # cpu counts in thousandths


def refusal(
    pod: Object, labels: Object, allocatable: Object, others: Iterable[Object]
) -> Event | None:
    """Why the node refuses this Pod; None if it fits beside the `others` on the node."""
    system = (pod["spec"].get("os") or {}).get("name", "linux")
    if system != labels.get("kubernetes.io/os", "linux"):
        text = "Failed to admit pod as the OS field doesn't match node OS"
        return Event("PodOSNotSupported", text, "Warning")
    if not _selected(pod["spec"], labels):
        text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        return Event("NodeAffinity", text, "Warning")
    others = list(others)
    room = int(quantity(allocatable.get("pods", 0)))
    if len(others) + 1 > room:
        return messages.out_of("pods", 1, len(others), room)
    if _ports(pod) & {port for other in others for port in _ports(other)}:
        text = "node(s) didn't have free ports for the requested pod ports"
        return Event("NodePorts", f"Predicate NodePorts failed: {text}", "Warning")
    asked = requests(pod)
    for resource, amount in asked.items():
        if resource not in allocatable:
            continue  # a resource that the node does not know is not its business
        used = sum(requests(other).get(resource, 0) for other in others)
        capacity = _units(resource, allocatable.get(resource, 0))
        if amount and used + amount > capacity:
            return messages.out_of(resource, amount, used, capacity)
    return None


def requests(pod: Object) -> dict[str, int]:
    """What the scheduler counts: the larger of all containers together and each init container."""
    spec, total = pod["spec"], dict[str, int]()
    sidecars = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    for container in (*(spec.get("containers") or []), *sidecars):
        for resource, amount in _asked(container).items():
            total[resource] = total.get(resource, 0) + amount
    for container in spec.get("initContainers") or []:
        for resource, amount in _asked(container).items():
            total[resource] = max(total.get(resource, 0), amount)
    for resource, amount in (spec.get("overhead") or {}).items():
        total[resource] = total.get(resource, 0) + _units(resource, amount)
    return total


def _ports(pod: Object) -> set[tuple[str, int]]:
    """Host ports, with their protocol."""
    ports = [port for c in pod["spec"]["containers"] for port in c.get("ports") or []]
    return {(port.get("protocol", "TCP"), port["hostPort"]) for port in ports if "hostPort" in port}


def _asked(container: Object) -> dict[str, int]:
    asked = (container.get("resources") or {}).get("requests") or {}
    return {resource: _units(resource, amount) for resource, amount in asked.items()}


def _units(resource: str, amount: Any) -> int:
    return int(quantity(amount) * UNITS.get(resource, 1))


def _selected(spec: Object, labels: Object) -> bool:
    """NodeSelector and required node affinity; the kubelet asks both again."""
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_matches(term, labels) for term in required["nodeSelectorTerms"])


def _matches(term: Object, labels: Object) -> bool:
    rules = term.get("matchExpressions") or []
    fields = term.get("matchFields") or []  # the node's name only; the API server has checked it
    return bool(rules or fields) and all(_holds(rule, labels) for rule in rules)


def _holds(rule: Object, labels: Object) -> bool:
    value, values = labels.get(rule["key"]), rule.get("values") or []
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and value.isdigit() and int(value) > int(values[0])
        case _:
            return value is not None and value.isdigit() and int(value) < int(values[0])
