"""Sums over a Pod's containers, as the scheduler makes them, and how to write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from autograders.cluster.pods import Container, Pod
from autograders.cluster.quantities import parse

Amounts = dict[str, Fraction]
FIRST = ("cpu", "memory", "ephemeral-storage")
POD_LEVEL = ("cpu", "memory", "hugepages-")


def requests(pod: Pod) -> Amounts:
    """What the scheduler sets aside for a Pod that it has yet to place."""
    return total(pod, "requests")


def limits(pod: Pod) -> Amounts:
    return total(pod, "limits")


def held(pod: Pod) -> Amounts:
    """What a placed Pod holds: while it is resized, the larger of old and new."""
    return total(pod, "requests", placed=True)


def total(pod: Pod, field: str, *, placed: bool = False) -> Amounts:
    """Init containers run one after another, before the others; sidecars stay beside them."""
    beside: Amounts = {}
    peak: Amounts = {}
    for each in pod.init_containers:
        own = of_container(each, field, placed=placed)
        peak = larger(peak, plus(beside, own))
        if each.spec.get("restartPolicy") == "Always":
            beside = plus(beside, own)
    for each in pod.containers:
        beside = plus(beside, of_container(each, field, placed=placed))
    whole = (pod.spec.get("resources") or {}).get(field) or {}
    set_for_pod = {key: parse(whole[key]) for key in whole if key.startswith(POD_LEVEL)}
    found = larger(peak, beside) | set_for_pod
    overhead = read(pod.spec.get("overhead") or {})
    if field == "limits":  # a container without a limit has none, whatever the runtime needs
        overhead = {name: value for name, value in overhead.items() if found.get(name)}
    return plus(found, overhead)


def of_container(container: Container, field: str, *, placed: bool) -> Amounts:
    asked = read((container.spec.get("resources") or {}).get(field) or {})
    if not placed or not container.status.get("resources"):
        return asked
    actual = read(container.status["resources"].get(field) or {})
    return larger(larger(asked, actual), read(container.status.get("allocatedResources") or {}))


def read(found: Mapping[str, str]) -> Amounts:
    return {name: parse(amount) for name, amount in found.items()}


def plus(one: Amounts, other: Amounts) -> Amounts:
    return one | {name: one.get(name, Fraction(0)) + value for name, value in other.items()}


def larger(one: Amounts, other: Amounts) -> Amounts:
    return one | {name: max(one.get(name, value), value) for name, value in other.items()}


def is_counted(name: str) -> bool:
    """CPU, memory, ephemeral storage and whatever has a prefix; others the scheduler ignores."""
    return name in FIRST or "/" in name or name.startswith(("hugepages-", "attachable-volumes-"))


def units(name: str, amount: Fraction) -> int:
    """The scheduler counts CPU in thousandths, the rest in ones, both rounded up."""
    return math.ceil(amount * 1000 if name == "cpu" else amount)


def show(name: str, amount: int) -> str:
    """Write units as a manifest would have them.

    >>> show("cpu", 1500), show("memory", 32 * 2**30), show("nvidia.com/gpu", 8)
    ('1500m', '32Gi', '8')
    """
    if name == "cpu":
        return f"{amount}m" if amount % 1000 else str(amount // 1000)
    if name in FIRST or name.startswith("hugepages-"):
        return show_bytes(amount)
    return str(amount)


def show_bytes(amount: int) -> str:
    for power, suffix in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if amount >= 1024**power:
            value = amount / 1024**power
            return f"{value:.0f}{suffix}" if value == int(value) else f"{value:.1f}{suffix}"
    return str(amount)
