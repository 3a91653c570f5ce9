"""What a cluster holds, as far as a learner made it, and what differs from an earlier look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autograders.connect import Api
from gpulab.discovery import Resource, kinds
from gpulab.sending import send

METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
KEPT = frozenset({("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")})
"""Made by controllers for every namespace."""
Inventory = Mapping[str, str]
"""uid → `Kind namespace/name`, and uid + "@" → what changes when somebody changes it."""
SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease", "gpu-operator"})
PLAIN = frozenset(
    {"ConfigMap", "Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole"}
    | {"ClusterRoleBinding", "PriorityClass"}
)
"""Kinds without a status and without a generation: each new version is a change by somebody."""


def take(api: Api) -> dict[str, str]:
    """List every object that no controller owns; its kind, place and generation."""
    found: dict[str, str] = {}
    with ThreadPoolExecutor(8) as pool:
        for kind, items in pool.map(lambda kind: (kind, _list(api, kind)), kinds(api)):
            for metadata in filter(lambda each: _counts(kind, each), items):
                uid = metadata["uid"]
                found[uid] = _name(kind, metadata)
                found[f"{uid}@"] = _version(kind, metadata)
    return found


def lost(now: Inventory, then: Inventory) -> list[str]:
    """What going back from `now` to `then` would take away or undo, in words."""
    made = [f"{name} (made since)" for uid, name in _objects(now) if uid not in then]
    changed = [
        f"{name} (changed since)"
        for uid, name in _objects(now)
        if uid in then and now[f"{uid}@"] != then.get(f"{uid}@")
    ]
    back = [f"{name} (deleted since, comes back)" for uid, name in _objects(then) if uid not in now]
    return [*sorted(made), *sorted(changed), *sorted(back)]


def _objects(found: Inventory) -> Iterable[tuple[str, str]]:
    return ((uid, name) for uid, name in found.items() if not uid.endswith("@"))


def _list(api: Api, kind: Resource) -> list[dict[str, Any]]:
    answer = send(api, "GET", kind.everywhere, accept=METADATA)
    return [each["metadata"] for each in answer.object.get("items") or ()]


def _counts(kind: Resource, metadata: Mapping[str, Any]) -> bool:
    owned = any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())
    kept = (kind.kind, metadata["name"]) in KEPT
    return not owned and not kept and metadata.get("namespace") not in SYSTEM


def _name(kind: Resource, metadata: Mapping[str, Any]) -> str:
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{kind.kind} {place}{metadata['name']}"


def _version(kind: Resource, metadata: Mapping[str, Any]) -> str:
    if "generation" in metadata:
        return str(metadata["generation"])
    return str(metadata["resourceVersion"]) if kind.kind in PLAIN else ""
