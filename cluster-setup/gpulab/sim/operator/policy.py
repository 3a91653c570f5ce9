"""What a ClusterPolicy says, with the operator's defaults where it says nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gpulab.sim.operator.operands import Operand

Object = dict[str, Any]
Spec = Mapping[str, Any]
OS_TAG = "ubuntu24.04"  # of the simulated nodes; drivers are built for an OS
TOLERATIONS = ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)
MIG_DISABLED = "all-disabled"


def in_charge(policies: Iterable[Object]) -> Object | None:
    """The oldest ClusterPolicy, by name among equals; the others are ignored."""
    return min(policies, key=_age, default=None)


def _age(policy: Object) -> tuple[str, str]:
    return policy["metadata"]["creationTimestamp"], policy["metadata"]["name"]


def spec_of(policy: Object) -> Spec:
    return policy.get("spec") or {}


def part(spec: Spec, key: str) -> Spec:
    """One part of the spec; empty if it is missing."""
    return spec.get(key) or {}


def is_enabled(operand: Operand, spec: Spec) -> bool:
    return _enabled(spec, operand.key, operand.default)


def _enabled(spec: Spec, key: str, default: bool = True) -> bool:
    return bool(part(spec, key).get("enabled", default))


def has_cdi(spec: Spec) -> bool:
    return _enabled(spec, "cdi")


def runtime_class(spec: Spec) -> str:
    return str(part(spec, "operator").get("runtimeClass") or "nvidia")


def mig_strategy(spec: Spec) -> str:
    return str(part(spec, "mig").get("strategy") or "single")


def mig_default(spec: Spec) -> str | None:
    """The MIG configuration that a capable node is given; the operator sets only this one."""
    if not _enabled(spec, "migManager"):
        return None
    default = part(part(spec, "migManager"), "config").get("default")
    return MIG_DISABLED if default == MIG_DISABLED else None


def tolerations(spec: Spec) -> list[Object]:
    return list(part(spec, "daemonsets").get("tolerations") or TOLERATIONS)


def image(where: Spec, suffix: str = "") -> str:
    """The image of one part: repository/image:version; ValueError if a part is missing.

    >>> image({"repository": "nvcr.io/nvidia", "image": "gpu-operator", "version": "v26.7.0"})
    'nvcr.io/nvidia/gpu-operator:v26.7.0'
    """
    name, version = where.get("image"), where.get("version")
    if not name or not version:
        raise ValueError("failed to construct image path: `image` or `version` is empty")
    path = f"{where['repository']}/{name}" if where.get("repository") else str(name)
    return f"{path}@{version}" if version.startswith("sha256:") else f"{path}:{version}{suffix}"


def images(operand: Operand, spec: Spec) -> dict[str, str]:
    """The images that an operand's data names: $image, $validator, $manager."""
    own = part(spec, operand.key)
    suffix = f"-{OS_TAG}" if operand.key == "driver" else ""
    found = {"image": image(own, suffix), "validator": image(part(spec, "validator"))}
    if operand.key == "driver":
        found["manager"] = image(part(own, "manager"))
    return found


def all_images(operands: Iterable[Operand], spec: Spec) -> Iterator[str]:
    """Every image of the operands that run, the operator's own among them."""
    for operand in operands:
        if is_enabled(operand, spec):
            yield from images(operand, spec).values()
