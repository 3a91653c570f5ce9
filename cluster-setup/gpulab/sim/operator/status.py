"""When an operand is ready, and what a ClusterPolicy's status then says. Pure.

Reasons and messages: NVIDIA/gpu-operator v26.7.0, controllers/clusterpolicy_controller.go and
internal/conditions/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Object = dict[str, Any]
READY, NOT_READY, IGNORED = "ready", "notReady", "ignored"
NO_NFD = "No NFD labels found"
NO_GPU = "No GPU node found, watching for new nodes to join the cluster."
RECONCILED = "ClusterPolicy is ready as all resources have been successfully reconciled"


def daemon_set_ready(daemon_set: Mapping[str, Any]) -> bool:
    """As the operator's isDaemonSetReady; of OnDelete Pods only readiness counts here."""
    status = daemon_set.get("status") or {}
    desired = status.get("desiredNumberScheduled", 0)
    if status.get("observedGeneration", 0) < daemon_set["metadata"].get("generation", 1):
        return False
    if status.get("numberUnavailable", 0):
        return False
    if daemon_set["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
        return bool(status.get("numberReady", 0) >= desired)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    return bool(updated == desired == available)


def not_ready(states: Sequence[str]) -> tuple[str, str, str]:
    """State, reason and message while operands are missing."""
    text = f"ClusterPolicy is not ready; states not ready: [{' '.join(states)}]"
    return NOT_READY, "OperandNotReady", text


def failed(state: str, cause: str) -> tuple[str, str, str]:
    """State, reason and message when an operand's objects cannot be written."""
    return NOT_READY, "ReconcileFailed", f"Failed to reconcile {state}: {cause}"


def ready(has_nfd: bool, has_gpu: bool) -> tuple[str, str, str]:
    """State, reason and message when nothing is missing."""
    if not has_nfd:
        return READY, "NFDLabelsMissing", NO_NFD
    if not has_gpu:
        return READY, "NoGPUNodes", NO_GPU
    return READY, "Reconciled", RECONCILED


def compose(before: Object, found: tuple[str, str, str], namespace: str, now: str) -> Object:
    """The new status; a condition keeps the time of its last change of status."""
    state, reason, message = found
    well = state == READY
    conditions = [
        _condition("Ready", well, reason if well else "Error", message if well else ""),
        _condition("Error", not well, "Ready" if well else reason, "" if well else message),
    ]
    known = {each["type"]: each for each in before.get("conditions") or []}
    for each in conditions:
        old = known.get(each["type"]) or {}
        same = old.get("status") == each["status"]
        each["lastTransitionTime"] = old.get("lastTransitionTime", now) if same else now
    return {"state": state, "namespace": namespace, "conditions": conditions}


def ignored(before: Object, namespace: str) -> Object:
    """The status of a ClusterPolicy beside the one in charge."""
    return {**before, "state": IGNORED, "namespace": namespace}


def _condition(kind: str, holds: bool, reason: str, message: str) -> Object:
    status = "True" if holds else "False"
    return {"type": kind, "status": status, "reason": reason, "message": message}
