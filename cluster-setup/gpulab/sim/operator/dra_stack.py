"""What a GPUCluster wants: NVIDIA's DRA driver instead of the device plugin. Pure.

After NVIDIA/gpu-operator v26.7.0, controllers/gpucluster_controller.go, state_manager.go and
nodelabeling_controller.go. One of GPUCluster and ClusterPolicy may exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gpulab.sim.operator import labels, manifests, status
from gpulab.sim.operator.operands import FOLDER, Operand, load

Object = dict[str, Any]
NAME = "gpu-cluster"
RECONCILED = "All resources have been successfully reconciled"
WAITING = "Waiting for operand pods to be ready"
BOTH = (
    'A ClusterPolicy CR "{}" exists; a ClusterPolicy CR and GPUCluster CR may not exist at the '
    "same time"
)
DEPLOY = ("nvidia.com/gpu.deploy.driver", "nvidia.com/gpu.deploy.dra-driver")
VALIDATOR = {"repository": "nvcr.io/nvidia", "image": "gpu-operator", "version": "v26.7.0"}


def operands() -> tuple[Operand, ...]:
    return load(FOLDER / "dra", "[0-9]*.yaml")


def device_classes(owner: Object) -> list[Object]:
    """The DeviceClasses of the driver."""
    found: list[Object] = msgspec.yaml.decode((FOLDER / "dra" / "deviceclasses.yaml").read_bytes())
    return [
        {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "DeviceClass",
            "metadata": manifests.metadata(each["name"], {}, owner),
            "spec": each["spec"],
        }
        for each in found
    ]


def prepared(owner: Object) -> Object:
    """The GPUCluster as the makers of operands read a ClusterPolicy."""
    spec = owner.get("spec") or {}
    driver = dict(spec.get("draDriver") or {})
    plugin = (driver.get("gpus") or {}).get("kubeletPlugin") or {}
    gates = sorted((driver.get("featureGates") or {}).items())
    env = [*(plugin.get("env") or [])]
    if gates:
        text = ",".join(f"{name}={str(on).lower()}" for name, on in gates)
        env = [{"name": "FEATURE_GATES", "value": text}, *env]
    driver |= {"env": env, "resources": plugin.get("resources")}
    return owner | {"spec": {**spec, "draDriver": driver, "validator": VALIDATOR}}


def label_change(found: Mapping[str, str]) -> dict[str, str | None]:
    """Labels of a node that serves claims: those of the other stack go."""
    wanted: dict[str, str | None] = {}
    if labels.has_gpu(found):
        wanted[labels.PRESENT] = "true"
        wanted |= {key: "true" for key in DEPLOY if not found.get(key)}
        gone: Sequence[str] = (*labels.DEPLOY, labels.MIG_MANAGER, labels.MIG_STATE)
        wanted |= {key: None for key in gone if key in found and key not in DEPLOY}
    elif labels.is_present(found):
        wanted = {labels.PRESENT: "false"} | {key: None for key in DEPLOY if key in found}
    return {key: value for key, value in wanted.items() if found.get(key) != value}


def verdict(
    policies: Mapping[str, Object], failures: Mapping[str, str], missing: Sequence[str]
) -> tuple[str, str, str]:
    """State, reason and message of the GPUCluster."""
    if policies:
        return status.NOT_READY, "PrerequisiteNotMet", BOTH.format(min(policies))
    for state, cause in failures.items():
        return status.NOT_READY, "ReconcileFailed", f"Error syncing state {state}: {cause}"
    if missing:
        return status.NOT_READY, "OperandNotReady", WAITING
    return status.READY, "Reconciled", RECONCILED
