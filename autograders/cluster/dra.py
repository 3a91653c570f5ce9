"""GPUs that Pods have by ResourceClaims (DRA), counted as those of a device plugin are.

A GPU is taken as soon as a part of it is: how much is left of it, only the scheduler computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from autograders.cluster.gpus import HEALTHY, Allocation, Device, Holding
from autograders.cluster.state import name_of
from autograders.model import KubeObject

DRIVER = "gpu.nvidia.com"
RESOURCE = "claims"
WHOLE = re.compile(r"(gpu-\d+)(-mig-.*)?")  # names that NVIDIA's DRA driver gives


def claimed(slices: Iterable[KubeObject], claims: Iterable[KubeObject]) -> dict[str, Allocation]:
    """The GPUs of every node that offers some by claims, by the node's name."""
    found: dict[str, list[KubeObject]] = {}
    for each in slices:
        spec = each.get("spec") or {}
        if spec.get("driver") == DRIVER:
            found.setdefault(str(spec.get("nodeName")), []).extend(spec.get("devices") or ())
    claims = tuple(claims)
    return {node: _of(node, devices, claims) for node, devices in found.items()}


def _of(node: str, devices: Iterable[KubeObject], claims: tuple[KubeObject, ...]) -> Allocation:
    gpus = {each["name"]: each for each in devices if _text(each, "type") == "gpu"}
    sound = [each for each in gpus.values() if not each.get("taints")]
    product = next((_text(each, "productName") for each in gpus.values()), "")
    holdings = tuple(_holdings(node, gpus, claims))
    dashed = product.replace(" ", "-")
    return Allocation(node, dashed, len(sound), holdings, len(gpus), RESOURCE)


def _text(device: KubeObject, attribute: str) -> str:
    found = (device.get("attributes") or {}).get(attribute) or {}
    return str(found.get("string", ""))


def _holdings(
    node: str, gpus: dict[str, KubeObject], claims: tuple[KubeObject, ...]
) -> Iterator[Holding]:
    """Each GPU once: the first claim that has a part of it counts for it."""
    seen: set[str] = set()
    for claim in sorted(claims, key=name_of):
        mine = [name for name in dict.fromkeys(_given(node, claim)) if name not in seen]
        seen.update(mine)
        users = (claim.get("status") or {}).get("reservedFor") or [{}]
        holder = str(users[0].get("name") or f"claim {name_of(claim)}")
        devices = tuple(_device(gpus[name]) for name in mine if name in gpus)
        if mine:
            namespace = str((claim.get("metadata") or {}).get("namespace", ""))
            yield Holding(namespace, holder, len(mine), devices)


def _given(node: str, claim: KubeObject) -> Iterator[str]:
    """Names of the node's GPUs that the claim has, whole or in part."""
    allocation = (claim.get("status") or {}).get("allocation") or {}
    for each in (allocation.get("devices") or {}).get("results") or ():
        match = WHOLE.fullmatch(str(each.get("device")))
        if match and (each.get("driver"), each.get("pool")) == (DRIVER, node):
            yield match[1]


def _device(gpu: KubeObject) -> Device:
    return Device(_text(gpu, "uuid"), "Unhealthy" if gpu.get("taints") else HEALTHY)


def summary(found: Iterable[Allocation]) -> str:
    """Say in a line where GPUs are free for claims, and who has the others."""
    lines = []
    for one in found:
        held = ", ".join(f"{each.gpus} {each.namespace}/{each.pod}" for each in one.holdings)
        by = f" (held: {held})" if held else ""
        lines.append(f"{one.node}: {one.free} of {one.allocatable} GPUs free{by}")
    return "; ".join(lines) or "no node offers a GPU by claims"
