"""What a grader may read; `rbac.yaml` grants exactly this, and a test keeps the two in step."""

from __future__ import annotations

import re

READABLE: dict[str, frozenset[str]] = {
    "": frozenset(
        {
            "configmaps",
            "events",
            "limitranges",
            "namespaces",
            "nodes",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "resourcequotas",
            "services",
        }
    ),
    "apps": frozenset({"daemonsets", "deployments", "replicasets", "statefulsets"}),
    "batch": frozenset({"cronjobs", "jobs"}),
    "discovery.k8s.io": frozenset({"endpointslices"}),
    "events.k8s.io": frozenset({"events"}),
    "networking.k8s.io": frozenset({"networkpolicies"}),
    "node.k8s.io": frozenset({"runtimeclasses"}),
    "nvidia.com": frozenset({"clusterpolicies"}),
    "policy": frozenset({"poddisruptionbudgets"}),
    "resource.k8s.io": frozenset(
        {"deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"}
    ),
    "scheduling.k8s.io": frozenset({"priorityclasses"}),
}
"""API group -> plurals. No secrets, no subresource; `pods/log` is the one exception."""

NAME = r"[a-z0-9](?:[a-z0-9.:-]*[a-z0-9])?"
PATH = re.compile(
    rf"/(?:api/v1|apis/(?P<group>{NAME})/v[a-z0-9]+)"
    rf"(?:/namespaces/{NAME}(?=/))?"
    rf"/(?P<resource>[a-z]+)(?:/{NAME}(?P<log>/log)?)?"
)


def group_of(api: str) -> str:
    """Take the group from an apiVersion: "" of v1, batch of batch/v1."""
    return api.rpartition("/")[0]


def is_readable(path: str) -> bool:
    """Say whether a GET of this path, without its query, is within the grader's rights."""
    found = PATH.fullmatch(path)
    if found is None:
        return path == "/version"
    group, resource = found["group"] or "", found["resource"]
    if found["log"]:
        return (group, resource) == ("", "pods")
    return resource in READABLE.get(group, ())
