"""Ready means that a Deployment created now has a Running Pod, and every GPU is allocatable."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from autograders.cluster.chain import DEPLOY, OPERANDS, is_enabled, kept_out_by
from autograders.cluster.nodes import Node
from autograders.connect import Api, ApiAbsent, ApiProblem, Unreachable
from autograders.errors import InputError
from gpulab import faults
from gpulab.fleets import load_fleet, shapes
from gpulab.pairs import LEARNERS
from gpulab.paths import ROOT, LabPaths
from gpulab.providers import components
from gpulab.sim.operator.labels import MIG_CONFIG, change
from gpulab.sim.operator.policy import MIG_DISABLED, in_charge
from gpulab.waiting import eventually

NAMESPACE = "kube-system"
GPU = "nvidia.com/gpu"
CORDON = "node.kubernetes.io/unschedulable"  # a learner's own wish
REAL = "gpulab.dev/real"
"""Label, and taint, of nodes that are containers beside the simulated ones."""
POLICIES = "/apis/nvidia.com/v1/clusterpolicies"
CLUSTERS = "/apis/nvidia.com/v1alpha1/gpuclusters"
RBAC = ROOT / "autograders" / "rbac.yaml"
RBAC_GROUP = "rbac.authorization.k8s.io"
APPLY = {"Content-Type": "application/apply-patch+yaml"}


def wait(api: Api, paths: LabPaths, fleet: str, within: float, *, fresh: bool) -> None:
    """Prove that the lab is ready; InputError says what was missing at the deadline.

    A fresh one has all GPUs; in another, learners may have taken some away.
    """
    canary = f"gpulab-ready-{uuid.uuid4().hex[:8]}"

    def until(missing: Callable[[], str | None]) -> None:
        eventually(lambda: _answered(missing), within, _remedy(paths))

    until(lambda: _grant(api))
    until(lambda: _create_missing(api, canary))
    try:
        until(lambda: _gpus_missing(api, paths, fleet, fresh))
        until(lambda: _pod_missing(api, canary))
    finally:
        _answered(lambda: _delete(api, canary))


def wait_for_api(api: Api, paths: LabPaths, within: float) -> None:
    """Wait until the API server answers; InputError at the deadline."""

    def missing() -> str | None:
        seen = _api_missing(api)
        if seen and (crashing := components.crashing(paths)):
            raise InputError(crashing, _remedy(paths))
        return seen

    # a look at a server that is coming up is long, for it waits for it, and costs it nothing
    eventually(missing, within, _remedy(paths), rest=0)


def lost_nodes(api: Api, paths: LabPaths, fleet: str, within: float) -> set[str]:
    """Nodes of the fleet that somebody has deleted."""
    found: set[str] = set()

    def missing() -> None:
        found.update(node["metadata"]["name"] for node in api.json("/api/v1/nodes")["items"])

    eventually(lambda: _answered(missing), within, _remedy(paths))
    return expected_gpus(fleet).keys() - found


def remove_nodes(api: Api) -> None:
    """Delete every simulated node, then the Pods that were on them, which nobody would end."""
    api.client.delete("/api/v1/nodes", params={"labelSelector": f"!{REAL}"}).raise_for_status()
    left = {node["metadata"]["name"] for node in api.json("/api/v1/nodes")["items"]}
    for pod in api.json("/api/v1/pods")["items"]:
        if pod["spec"].get("nodeName", "") not in {"", *left}:
            meta = pod["metadata"]
            api.client.request(
                "DELETE",
                f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}",
                params={"gracePeriodSeconds": "0"},
            )


def _remedy(paths: LabPaths) -> str:
    return f"the reason is in {paths.logs} or {paths.cluster / 'logs'}; then `gpulab up` again"


def expected_gpus(fleet: str) -> dict[str, int]:
    """GPUs by node name that are offered as a resource, as the fleet file has them."""
    found = load_fleet(fleet)
    plugin = found.stack == "device-plugin"
    return {shape.name: shape.group.gpus if plugin else 0 for shape in shapes(found)}


def promised_gpus(api: Api, fleet: str) -> dict[str, int]:
    """GPUs by node name that the operator would see to, with the labels and taints as they are."""
    found = {node["metadata"]["name"]: node for node in api.json("/api/v1/nodes")["items"]}
    try:
        policy = in_charge(api.json(POLICIES)["items"])
    except ApiAbsent:  # somebody has deleted the very kind
        policy = None
    return {
        name: gpus if name not in found or has_operands(found[name], policy) else 0
        for name, gpus in expected_gpus(fleet).items()
    }


def has_operands(node: dict[str, Any], policy: dict[str, Any] | None) -> bool:
    """Whether all that a GPU needs is meant to run on the node."""
    if policy is None or kept_out_by(Node(node), policy):
        return False
    labels = node["metadata"].get("labels") or {}
    if offers_parts(labels, policy):
        return False
    after = labels | change(labels, None)
    needed = [one for one in OPERANDS if one.key != "gfd"]
    asked = [*(one.label for one in needed), "operator-validator"]  # the plugin waits for its word
    enabled = all(is_enabled(one, policy) for one in needed)
    return enabled and all(after.get(DEPLOY + each) == "true" for each in asked)


def offers_parts(labels: Mapping[str, str], policy: dict[str, Any]) -> bool:
    """Whether somebody wants the node's GPUs cut or shared: it then offers what they say."""
    plugin = (policy.get("spec") or {}).get("devicePlugin") or {}
    shared = (plugin.get("config") or {}).get("name")
    return bool(shared) or labels.get(MIG_CONFIG, MIG_DISABLED) != MIG_DISABLED


def nodes_missing(api: Api, expected: Mapping[str, int]) -> str | None:
    """Return what the nodes lack of Ready and allocatable GPUs."""
    found = {node["metadata"]["name"]: node for node in api.json("/api/v1/nodes")["items"]}
    for name, gpus in expected.items():
        node = found.get(name)
        if node is None:
            return f"no node {name}"
        if not _is_ready(node):
            return f"node {name} not Ready"
        have = int(node["status"].get("allocatable", {}).get(GPU, 0))
        if have < gpus:
            return f"node {name} with {have} of {gpus} GPUs allocatable"
    return None


def sound_nodes_missing(api: Api, paths: LabPaths, fleet: str) -> str | None:
    """The same for a lab that was used; nodes that are broken on purpose may lack anything."""
    broken = {each.node for each in faults.active(paths)}
    promised = promised_gpus(api, fleet)
    return nodes_missing(api, {name: promised[name] for name in promised if name not in broken})


def _is_ready(node: Mapping[str, Any]) -> bool:
    keys = {taint["key"] for taint in node["spec"].get("taints") or []} - {CORDON}
    tainted = any("node.kubernetes.io/" in key for key in keys)
    conditions = node["status"].get("conditions") or []
    return not tainted and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _answered(look: Callable[[], str | None]) -> str | None:
    """An API server that dies meanwhile is started again: one more thing to wait for."""
    import httpx2  # takes time; whoever has a connection has it already

    try:
        return look()
    except (httpx2.HTTPError, OSError, Unreachable, ApiProblem, ApiAbsent) as error:
        return f"no answer of the API server ({error})"


def _api_missing(api: Api) -> str | None:
    try:
        api.text("/readyz")
        # created by the API server itself after its start; without it nothing can be created
        api.json("/api/v1/namespaces/kube-system")
    except (Unreachable, ApiProblem, ApiAbsent) as error:
        return f"no ready API server ({error})"
    return None


def _grant(api: Api) -> str | None:
    """Let the grader read, as on every cluster, and let learners do everything.

    They are no system:masters, whom no rule binds, so that guards and `can-i` count for them.
    """
    role = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": LEARNERS},
        "roleRef": role,
        "subjects": [{"apiGroup": RBAC_GROUP, "kind": "Group", "name": LEARNERS}],
    }
    for rule in (binding, *yaml.safe_load_all(RBAC.read_text())):
        kind, name = rule["kind"].lower() + "s", rule["metadata"]["name"]
        answer = api.client.patch(
            f"/apis/{RBAC_GROUP}/v1/{kind}/{name}",
            params={"fieldManager": "gpulab", "force": "true"},
            headers=APPLY,
            content=yaml.safe_dump(rule),
        )
        answer.raise_for_status()
    return None


def _gpus_missing(api: Api, paths: LabPaths, fleet: str, fresh: bool) -> str | None:
    if not fresh:
        return sound_nodes_missing(api, paths, fleet)
    return nodes_missing(api, expected_gpus(fleet)) or _operator_missing(api, fleet)


def _operator_missing(api: Api, fleet: str) -> str | None:
    claims = load_fleet(fleet).stack == "dra"
    path, kind = (CLUSTERS, "GPUCluster") if claims else (POLICIES, "ClusterPolicy")
    states = [(each.get("status") or {}).get("state") for each in api.json(path)["items"]]
    return None if "ready" in states else f"no {kind} that is ready"


def _create_missing(api: Api, name: str) -> str | None:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    answer = api.client.post(path, json=_canary(name))
    return None if answer.status_code in (201, 409) else f"no Deployment ({answer.text[:200]})"


def _delete(api: Api, name: str) -> None:
    api.client.delete(
        f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}",
        params={"propagationPolicy": "Background"},
    )


def _pod_missing(api: Api, name: str) -> str | None:
    path = f"/api/v1/namespaces/{NAMESPACE}/pods"
    pods = api.json(path, labelSelector=f"app={name}")["items"]
    if any(pod["status"].get("phase") == "Running" for pod in pods):
        return None
    return f"no Running Pod of a new Deployment ({len(pods)} created)"


def _canary(name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "pause", "image": "registry.k8s.io/pause:3.10.1"}
    simulated = {"matchExpressions": [{"key": REAL, "operator": "DoesNotExist"}]}
    required = {"nodeSelectorTerms": [simulated]}
    spec = {
        "containers": [container],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}},
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
