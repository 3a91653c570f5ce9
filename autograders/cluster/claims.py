"""Which PersistentVolumeClaims a Pod needs, and which of them are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from autograders.cluster.pods import Pod
from autograders.model import KubeObject


def wanted_claims(pod: Pod) -> Iterator[str]:
    for volume in pod.spec.get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            yield claim["claimName"]
        elif "ephemeral" in volume:
            yield f"{pod.name}-{volume['name']}"


def names_in(pod: Pod, claims: Iterable[KubeObject]) -> set[str]:
    """Claims of the Pod's namespace."""
    metas = (each.get("metadata") or {} for each in claims)
    return {meta["name"] for meta in metas if meta.get("namespace") == pod.namespace}


def bound_claims(pod: Pod, claims: Iterable[KubeObject]) -> set[str]:
    """Those of them that have a volume."""
    bound = (each for each in claims if (each.get("status") or {}).get("phase") == "Bound")
    return names_in(pod, bound)
