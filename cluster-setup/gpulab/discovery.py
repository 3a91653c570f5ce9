"""Which kinds a cluster has, and where its API keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autograders.connect import Api
from autograders.errors import InputError
from gpulab.sending import send

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
IGNORED = frozenset({"Event", "Lease", "EndpointSlice", "Endpoints", "IPAddress"})
"""Records that the system keeps for itself, not anybody's work."""


@dataclass(frozen=True)
class Resource:
    """One kind of object."""

    api: str
    """apiVersion: `v1`, `batch/v1`."""
    plural: str
    """As in a path: `jobs`."""
    kind: str
    """As in a manifest: `Job`."""
    namespaced: bool
    """Whether its objects lie in a namespace."""
    verbs: frozenset[str]
    """What its API can do: `list`, `delete` …"""

    @property
    def group(self) -> str:
        """`batch` of `batch/v1`; empty for the core."""
        return self.api.rpartition("/")[0]

    @property
    def everywhere(self) -> str:
        """Where its objects of all namespaces are."""
        return f"{'/apis' if '/' in self.api else '/api'}/{self.api}/{self.plural}"

    def path(self, namespace: str, name: str = "") -> str:
        """Where its objects are.

        >>> Resource("batch/v1", "jobs", "Job", True, frozenset()).path("lab", "train")
        '/apis/batch/v1/namespaces/lab/jobs/train'
        """
        root = f"/apis/{self.api}" if "/" in self.api else f"/api/{self.api}"
        inside = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{inside}/{self.plural}" + (f"/{name}" if name else "")


def resources(api: Api) -> Iterator[Resource]:
    """Every kind in every version, the preferred version first."""
    for root in ("/api", "/apis"):
        answer = send(api, "GET", root, accept=AGGREGATED)
        if "items" not in answer.object:
            what = f"the cluster does not list its kinds: {answer.message}"
            raise InputError(what, "it must be Kubernetes 1.30 or newer; gpulab status")
        for group in answer.object["items"]:
            for version in group.get("versions", ()):
                yield from of_version(group["metadata"].get("name", ""), version)


def kinds(api: Api) -> list[Resource]:
    """Each kind whose objects can be listed and deleted, once, in the version the API prefers."""
    found: dict[tuple[str, str], Resource] = {}
    for each in resources(api):
        if {"list", "delete"} <= each.verbs and each.kind not in IGNORED:
            found.setdefault((each.group, each.plural), each)
    return list(found.values())


def of_version(group: str, version: dict[str, Any]) -> Iterator[Resource]:
    api = f"{group}/{version['version']}" if group else version["version"]
    for each in version.get("resources", ()):
        kind = (each.get("responseKind") or {}).get("kind", "")
        namespaced = each.get("scope") == "Namespaced"
        yield Resource(api, each["resource"], kind, namespaced, frozenset(each.get("verbs", ())))
