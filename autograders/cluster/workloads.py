"""Deployments, Jobs and the like: how many Pods they want, which they have, what one would be."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator

from autograders.cluster.pods import Pod
from autograders.cluster.state import name_of
from autograders.model import KubeObject

KINDS = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")


def wanted(owner: KubeObject) -> int:
    """Pods that should be there now."""
    spec, status = owner.get("spec") or {}, owner.get("status") or {}
    if owner.get("kind") == "DaemonSet":
        return int(status.get("desiredNumberScheduled", 0))
    if owner.get("kind") != "Job":
        return int(spec.get("replicas", 1))
    if spec.get("suspend") or end_of(owner):
        return 0
    parallel, completions = int(spec.get("parallelism", 1)), spec.get("completions")
    left = parallel if completions is None else int(completions) - int(status.get("succeeded", 0))
    return min(parallel, max(0, left))


def end_of(job: KubeObject) -> str:
    """How a Job ended: `Complete`, or `Failed: reason`; empty while it goes on."""
    for each in (job.get("status") or {}).get("conditions") or ():
        if each.get("status") == "True" and each.get("type") in {"Complete", "Failed"}:
            reason = f": {each['reason']}" if each.get("reason") else ""
            return f"{each['type']}{reason}" if each["type"] == "Failed" else "Complete"
    return ""


def pods_of(owner: KubeObject, pods: Iterable[Pod], between: Iterable[KubeObject]) -> list[Pod]:
    """Its Pods, for a Deployment through its ReplicaSets in `between`."""
    uids = {uid_of(owner), *(uid_of(each) for each in between if uid_of(owner) in owners(each))}
    return [each for each in pods if uids & set(owners(each.object))]


def uid_of(found: KubeObject) -> str:
    return str((found.get("metadata") or {}).get("uid"))


def owners(found: KubeObject) -> Iterator[str]:
    references = (found.get("metadata") or {}).get("ownerReferences") or ()
    return (str(each.get("uid")) for each in references if each.get("controller"))


def pod_from(owner: KubeObject) -> Pod:
    """What its controller asks the API server for."""
    template = copy.deepcopy((owner.get("spec") or {}).get("template") or {})
    meta = template.setdefault("metadata", {})
    meta["namespace"] = (owner.get("metadata") or {}).get("namespace")
    meta["name"] = f"{name_of(owner)}-…"
    return Pod(template)
