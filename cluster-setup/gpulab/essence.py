"""What of an object somebody wrote: labels and content, without status and what servers add."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from autograders.model import KubeObject

SERVERS = frozenset({"apiVersion", "kind", "metadata", "status"})
"""Top-level fields that say what an object is, where, and what became of it."""
LATER = {"Pod": "nodeName", "PersistentVolumeClaim": "volumeName"}
"""A field of the spec that the cluster fills in once it knows."""
WRITTEN = ("labels", "annotations")
"""Metadata that a copy keeps."""


def essence(kind: str, thing: KubeObject) -> dict[str, Any]:
    """Labels and everything beside metadata and status: `spec`, `data`, `rules`.

    >>> essence("Pod", {"metadata": {"uid": "1"}, "spec": {"nodeName": "n"}, "status": {}})
    {'labels': {}, 'content': {'spec': {}}}
    """
    labels = (thing.get("metadata") or {}).get("labels") or {}
    return {"labels": labels, "content": content(kind, thing)}


def content(kind: str, thing: KubeObject) -> dict[str, Any]:
    found = {key: value for key, value in thing.items() if key not in SERVERS}
    later = LATER.get(kind)
    if later and isinstance(found.get("spec"), dict):
        found["spec"] = {key: value for key, value in found["spec"].items() if key != later}
    return found


def fingerprint(kind: str, thing: KubeObject) -> str:
    """SHA-256 of the essence."""
    data = msgspec.json.encode(essence(kind, thing), order="sorted")
    return hashlib.sha256(data).hexdigest()


def copy(api: str, kind: str, thing: KubeObject) -> KubeObject:
    """What would make it again: name, labels, annotations and content."""
    meta = thing["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", *WRITTEN) if meta.get(key)}
    return {"apiVersion": api, "kind": kind, "metadata": kept, **content(kind, thing)}
