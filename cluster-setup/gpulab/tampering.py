"""Faults that somebody could have made with kubectl: labels and taints of a node."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins

from autograders.connect import Api, connect
from gpulab.paths import LabPaths
from gpulab.sim.causes import Cause, Injected

MERGE = {"Content-Type": "application/merge-patch+json"}


def apply(paths: LabPaths, node: str, cause: Cause) -> dict[str, str | None]:
    """Change the node as the cause says; the labels as they were."""
    if not cause.label and cause.taint is None:
        return {}
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        labels, taints = _labels(api, node), _taints(api, node)
        before = {key: labels.get(key) for key in cause.label}
        if cause.taint is not None:
            taints.append(to_builtins(cause.taint))
        _patch(api, node, dict(cause.label), taints if cause.taint else None)
    return before


def undo(paths: LabPaths, fault: Injected) -> None:
    """Give the node its labels back, and take the taint away."""
    cause = fault.cause
    if not cause.label and cause.taint is None:
        return
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        left = None
        if cause.taint is not None:
            left = [taint for taint in _taints(api, fault.node) if taint["key"] != cause.taint.key]
        _patch(api, fault.node, dict(fault.before), left)


def _labels(api: Api, node: str) -> dict[str, str]:
    found: dict[str, str] = api.json(f"/api/v1/nodes/{node}")["metadata"].get("labels") or {}
    return found


def _taints(api: Api, node: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.json(f"/api/v1/nodes/{node}")["spec"].get("taints") or []
    return found


def _patch(
    api: Api, node: str, labels: dict[str, str | None], taints: list[dict[str, Any]] | None
) -> None:
    body: dict[str, Any] = {"metadata": {"labels": labels}}
    if taints is not None:
        body["spec"] = {"taints": taints}
    api.client.patch(f"/api/v1/nodes/{node}", json=body, headers=MERGE).raise_for_status()
