"""What a ResourceQuota refuses, in the API server's words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from autograders.cluster import amounts
from autograders.cluster.pods import Container, Pod
from autograders.cluster.quantities import canonical, parse
from autograders.cluster.state import name_of
from autograders.model import KubeObject

COMPUTE = ("cpu", "memory", "ephemeral-storage")
MUST_BE_SET = ("cpu", "memory")
"""A quota for these makes every container say what it wants."""


def refusals(pod: Pod, quotas: Iterable[KubeObject]) -> tuple[str, ...]:
    """Everything that may be said of a new Pod; the API server says the first that it meets."""
    mine = [each for each in quotas if applies(pod, each)]
    return tuple(ill_formed(pod, mine)) or tuple(exceeded(pod, mine))


def ill_formed(pod: Pod, quotas: Iterable[KubeObject]) -> Iterator[str]:
    """Quotas that cannot be applied to the Pod at all."""
    for quota in quotas:
        hard, used = (recorded(quota, each) for each in ("hard", "used"))
        unset = unspecified(pod, hard)
        missing = sorted(name for name in hard if concerns_pods(name) and name not in used)
        if unset:
            yield f"failed quota: {name_of(quota)}: must specify {'; '.join(unset)}"
        elif missing:
            yield f"status unknown for quota: {name_of(quota)}, resources: {','.join(missing)}"


def exceeded(pod: Pod, quotas: Iterable[KubeObject]) -> Iterator[str]:
    requested = usage(pod)
    for quota in quotas:
        hard, used = (recorded(quota, each) for each in ("hard", "used"))
        over = sorted(
            name
            for name, amount in requested.items()
            if name in hard and parse(amount) and total(used, name, amount) > parse(hard[name])
        )
        if over:
            wants, has, may = (spell(over, each) for each in (requested, used, hard))
            sums = f"requested: {wants}, used: {has}, limited: {may}"
            yield f"exceeded quota: {name_of(quota)}, {sums}"


def total(used: Mapping[str, str], name: str, amount: str) -> Fraction:
    return parse(used.get(name, "0")) + parse(amount)


def spell(names: Iterable[str], found: Mapping[str, str]) -> str:
    return ",".join(f"{name}={found[name]}" for name in names if name in found)


def recorded(quota: KubeObject, which: str) -> dict[str, str]:
    return (quota.get("status") or {}).get(which) or {}


def usage(pod: Pod) -> dict[str, str]:
    """What a quota counts: `pods`, `requests.cpu`, `limits.memory`, `requests.nvidia.com/gpu`."""
    found = {"pods": "1", "count/pods": "1"}
    for field, asked in (("requests", amounts.requests(pod)), ("limits", amounts.limits(pod))):
        for name, amount in asked.items():
            written = canonical(amount, notation(pod, field, name))
            if name in COMPUTE:
                found[f"{field}.{name}"] = written
            if field == "requests" and (name in COMPUTE or name.startswith("hugepages-")):
                found[name] = written
            if field == "requests" and ("/" in name or name.startswith("hugepages-")):
                found[f"requests.{name}"] = written
    return found


def notation(pod: Pod, field: str, name: str) -> str:
    """How the first container writes it: a sum keeps that notation."""
    written = (one for each in pod.all_containers for one in [asks(each, field).get(name)] if one)
    return str(next(written, ""))


def asks(container: Container, field: str) -> dict[str, str]:
    return (container.spec.get("resources") or {}).get(field) or {}


def concerns_pods(name: str) -> bool:
    plain = name.removeprefix("requests.").removeprefix("limits.")
    device = name.startswith("requests.") and "/" in plain
    return name in ("pods", "count/pods") or plain in COMPUTE or "hugepages-" in name or device


def unspecified(pod: Pod, hard: Mapping[str, str]) -> list[str]:
    """`cpu for: main` for each resource that the quota wants and a container leaves out."""
    if pod.spec.get("resources"):
        return []
    found = []
    for name in sorted(hard):
        field, _, plain = name.rpartition(".")
        if plain in MUST_BE_SET and field in ("", "requests", "limits"):
            silent = [
                each.name
                for each in pod.all_containers
                if plain not in asks(each, field or "requests")
            ]
            found += [f"{name} for: {','.join(sorted(silent))}"] if silent else []
    return found


def applies(pod: Pod, quota: KubeObject) -> bool:
    """By namespace, by what it limits, and by its scopes."""
    spec = quota.get("spec") or {}
    rules = [{"scopeName": each, "operator": "Exists"} for each in spec.get("scopes") or ()]
    rules += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return (
        (quota.get("metadata") or {}).get("namespace") == pod.namespace
        and any(concerns_pods(name) for name in recorded(quota, "hard"))
        and all(in_scope(pod, rule) for rule in rules)
    )


def in_scope(pod: Pod, rule: KubeObject) -> bool:
    terminating = pod.spec.get("activeDeadlineSeconds") is not None
    return {
        "Terminating": terminating,
        "NotTerminating": not terminating,
        "BestEffort": is_best_effort(pod),
        "NotBestEffort": not is_best_effort(pod),
        "PriorityClass": has_class(str(pod.spec.get("priorityClassName") or ""), rule),
    }.get(str(rule.get("scopeName")), False)


def has_class(name: str, rule: KubeObject) -> bool:
    values = rule.get("values") or ()
    return {
        "Exists": bool(name),
        "DoesNotExist": not name,
        "In": name in values,
        "NotIn": name not in values,
    }.get(str(rule.get("operator")), False)


def is_best_effort(pod: Pod) -> bool:
    """No container names CPU or memory; GPUs alone do not count."""
    return not any(
        name in MUST_BE_SET and parse(amount)
        for each in pod.all_containers
        for field in ("requests", "limits")
        for name, amount in asks(each, field).items()
    )
