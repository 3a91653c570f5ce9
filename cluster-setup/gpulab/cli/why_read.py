"""What `gpulab why` reads: lists, with the graders' read-only identity, never events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from autograders.cluster import Node, Pod
from autograders.cluster.chain import Chain, trace
from autograders.cluster.clues import Evidence, messages
from autograders.cluster.state import name_of
from autograders.connect import FORBIDDEN, Api, ApiAbsent, ApiProblem, connect
from autograders.errors import InputError
from autograders.model import KubeObject

EVERYWHERE = {
    "Node": "/api/v1/nodes",
    "Pod": "/api/v1/pods",
    "Namespace": "/api/v1/namespaces",
    "PodDisruptionBudget": "/apis/policy/v1/poddisruptionbudgets",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
    "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
    "ClusterPolicy": "/apis/nvidia.com/v1/clusterpolicies",
    "ResourceSlice": "/apis/resource.k8s.io/v1/resourceslices",
    "ResourceClaim": "/apis/resource.k8s.io/v1/resourceclaims",
}
IN_NAMESPACE = {
    "ResourceQuota": "/api/v1/namespaces/{}/resourcequotas",
    "LimitRange": "/api/v1/namespaces/{}/limitranges",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
}
INDISPENSABLE = ("Node", "Pod")
SHORT = {"po": "Pod", "deploy": "Deployment", "r": "ReplicaSet", "rs": "ReplicaSet"}
SHORT |= {"st": "StatefulSet", "sts": "StatefulSet", "d": "DaemonSet", "ds": "DaemonSet"}
WORKLOADS = ("Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")
KINDS = {each.lower(): each for each in WORKLOADS} | SHORT
"""What may stand before the slash, without a plural's s."""


@dataclass(frozen=True)
class Read:
    """One look at the cluster."""

    namespace: str
    """Where names are looked up."""
    objects: Mapping[str, list[KubeObject]]
    """Kind -> objects; a kind that could not be read is absent."""

    def of(self, kind: str) -> list[KubeObject]:
        return self.objects.get(kind, [])

    def find(self, kind: str, name: str) -> KubeObject | None:
        for each in self.of(kind):
            if name_of(each) == name and each["metadata"].get("namespace") == self.namespace:
                return each
        return None

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        return tuple(Pod(each) for each in self.of("Pod"))

    def between(self) -> Iterator[KubeObject]:
        """What may stand between a workload and its Pods."""
        return iter(self.of("ReplicaSet"))


def read(kubeconfig: Path, namespace: str) -> Read:
    paths = EVERYWHERE | {kind: path.format(namespace) for kind, path in IN_NAMESPACE.items()}
    with connect(kubeconfig) as api, ThreadPoolExecutor(8) as pool:
        lists = pool.map(lambda item: read_list(api, *item), paths.items())
        found = dict(zip(paths, lists, strict=True))
    return Read(namespace, {kind: each for kind, each in found.items() if each is not None})


def read_list(api: Api, kind: str, path: str) -> list[KubeObject] | None:
    """All objects of a kind; None when they could not be read."""
    try:
        items = api.json(path)["items"] or []
    except ApiAbsent:  # this cluster does not know the kind
        return []
    except ApiProblem as problem:
        if kind in INDISPENSABLE:
            raise InputError(f"{kind}s could not be read: {problem}", FORBIDDEN) from problem
        return None
    return [{"kind": kind, **each} for each in items]


TAIL = 20
"""Lines of a log that may tell what is wrong."""


def evidence(kubeconfig: Path, found: Read, pod: Pod) -> Evidence:
    """What is to be read beside a Pod that has its node; what cannot be read is left out."""
    base = f"/api/v1/namespaces/{pod.namespace}"
    chosen = f"involvedObject.kind=Pod,involvedObject.name={pod.name}"
    logs: dict[str, str] = {}
    with connect(kubeconfig) as api:
        try:
            events = api.json(f"{base}/events", fieldSelector=chosen)["items"] or []
        except (ApiAbsent, ApiProblem):
            events = []
        for container in pod.all_containers:
            if container.has_started:
                path = f"{base}/pods/{pod.name}/log"
                with suppress(ApiAbsent, ApiProblem):
                    end = api.text(path, container=container.name, tailLines=str(TAIL))
                    logs[container.name] = end
    return Evidence(messages(events), logs, chain_of(found, pod))


def chain_of(found: Read, pod: Pod) -> Chain | None:
    """Of the node of a Pod that asks for GPUs or for NVIDIA's runtime and is not ready."""
    needs = pod.asks() or str(pod.spec.get("runtimeClassName", "")).startswith("nvidia")
    node = next((each for each in found.of("Node") if name_of(each) == pod.node), None)
    if not needs or node is None or pod.is_ready or pod.is_finished:
        return None
    return trace(Node(node), found.pods, next(iter(found.of("ClusterPolicy")), None))
