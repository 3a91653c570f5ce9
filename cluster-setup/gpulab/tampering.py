"""Faults that somebody could have made with kubectl: written, and undone, as a person would.

What somebody else has changed since is not touched: a fault is undone by what it did.
"""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from autograders.connect import Api, connect
from autograders.errors import InputError
from gpulab.paths import LabPaths
from gpulab.sending import MERGE, Answer, send
from gpulab.sim.causes import Cause, Injected
from gpulab.waiting import eventually

OPERATOR = "gpu-operator"  # the namespace of its operands
SCALE_SECONDS = 40.0  # a Pod may take 30 to end
TRIES = 5  # where somebody else writes to the same object
PLURALS = {"Deployment": "deployments", "Job": "jobs", "ConfigMap": "configmaps"}
Object = dict[str, Any]


def prepare(paths: LabPaths, fault: Injected) -> Injected:
    """Note what is to be changed as it is now; InputError where the fault cannot be made."""
    cause = fault.cause
    if not _writes(cause):
        return fault
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        if cause.label or cause.taint:
            node = _read(api, _node(fault))
            labels, taints = node["metadata"].get("labels") or {}, node["spec"].get("taints") or []
            had = cause.taint is not None and to_builtins(cause.taint) in map(_bare, taints)
            before = {key: labels.get(key) for key in cause.label}
            fault = replace(fault, before=before, had_taint=had)
        if cause.scale:
            found = _read(api, _deployment(cause))
            fault = replace(fault, replicas=int(found["spec"].get("replicas", 1)))
        for thing in cause.apply:
            if send(api, "GET", _path(thing)).status == 200:
                name = f"{thing['kind'].lower()} {thing['metadata']['name']}"
                where = thing["metadata"]["namespace"]
                what = f"there is a {name} in namespace {where} already"
                raise InputError(what, f"delete it: kubectl delete -n {where} {name}")
    return fault


def apply(paths: LabPaths, fault: Injected) -> None:
    """Change what the cause says."""
    cause = fault.cause
    if not _writes(cause):
        return
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        if cause.label:
            _change(api, _node(fault), {"metadata": {"labels": dict(cause.label)}})
        if cause.taint and not fault.had_taint:
            _taint(api, fault, add=True)
        if cause.scale:
            _change(api, _deployment(cause), {"spec": {"replicas": cause.scale.replicas}})
            eventually(lambda: _too_many(api, cause), SCALE_SECONDS, "end the fault: gpulab heal")
        if cause.delete_operand:
            _delete_operand(api, fault)
        if cause.delete_runtime_class:
            _delete(api, f"/apis/node.k8s.io/v1/runtimeclasses/{cause.delete_runtime_class}")
        for thing in cause.apply:
            _expect(send(api, "POST", _path(thing).rpartition("/")[0], object=thing))


def undo(paths: LabPaths, fault: Injected) -> None:
    """Undo what the fault has done, and nothing else; what is gone meanwhile needs nothing."""
    cause = fault.cause
    if not _writes(cause):
        return
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        if cause.label:
            _give_back_labels(api, fault)
        if cause.taint and not fault.had_taint:
            _taint(api, fault, add=False)
        if cause.scale:
            _scale_back(api, fault)
        for thing in cause.apply:
            _delete(api, _path(thing))


def _writes(cause: Cause) -> bool:
    told = (cause.label, cause.taint, cause.scale, cause.apply)
    return any((*told, cause.delete_operand, cause.delete_runtime_class))


def _give_back_labels(api: Api, fault: Injected) -> None:
    node = _find(api, _node(fault))
    labels = (node or {"metadata": {}})["metadata"].get("labels") or {}
    ours = {key for key, value in fault.cause.label.items() if labels.get(key) == value}
    if ours:
        change = {key: fault.before.get(key) for key in sorted(ours)}
        _change(api, _node(fault), {"metadata": {"labels": change}})


def _taint(api: Api, fault: Injected, *, add: bool) -> None:
    """Add or take away this very taint: key, value and effect."""
    ours = to_builtins(fault.cause.taint)
    for _ in range(TRIES):
        if (node := _find(api, _node(fault))) is None:
            return
        others = [one for one in node["spec"].get("taints") or [] if _bare(one) != ours]
        version = {"resourceVersion": node["metadata"]["resourceVersion"]}
        spec = {"taints": [*others, ours] if add else others}
        body = {"metadata": version, "spec": spec}
        answer = send(api, "PATCH", _node(fault), object=body, kind=MERGE)
        if answer.status != 409:  # else somebody else has written to the node meanwhile
            return _expect(answer)
    _expect(answer)


def _bare(taint: Object) -> Object:
    """Without the time at which it was added."""
    return {key: taint.get(key, "") for key in ("key", "value", "effect")}


def _scale_back(api: Api, fault: Injected) -> None:
    assert fault.cause.scale is not None
    found = _find(api, _deployment(fault.cause))
    if found and found["spec"].get("replicas") == fault.cause.scale.replicas:
        _change(api, _deployment(fault.cause), {"spec": {"replicas": fault.replicas}})


def _too_many(api: Api, cause: Cause) -> str | None:
    """What of a Deployment that was scaled down is still there; it would mend what comes next."""
    assert cause.scale is not None
    chosen = _read(api, _deployment(cause))["spec"]["selector"]["matchLabels"]
    words = ",".join(f"{key}={value}" for key, value in chosen.items())
    path = f"/api/v1/namespaces/{cause.scale.namespace}/pods"
    answer = send(api, "GET", path, query={"labelSelector": words})
    _expect(answer)
    more = len(answer.object["items"]) - cause.scale.replicas
    return f"{more} Pods of {cause.scale.deployment} have not ended" if more > 0 else None


def _delete_operand(api: Api, fault: Injected) -> None:
    path = f"/api/v1/namespaces/{OPERATOR}/pods"
    app, node = f"app={fault.cause.delete_operand}", f"spec.nodeName={fault.node}"
    answer = send(api, "GET", path, query={"labelSelector": app, "fieldSelector": node})
    _expect(answer)
    for each in answer.object["items"]:
        _delete(api, f"{path}/{each['metadata']['name']}")


def _node(fault: Injected) -> str:
    return f"/api/v1/nodes/{fault.node}"


def _deployment(cause: Cause) -> str:
    assert cause.scale is not None
    return f"/apis/apps/v1/namespaces/{cause.scale.namespace}/deployments/{cause.scale.deployment}"


def _path(thing: Object) -> str:
    version, meta = thing["apiVersion"], thing["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{meta['namespace']}/{PLURALS[thing['kind']]}/{meta['name']}"


def _find(api: Api, path: str) -> Object | None:
    answer = send(api, "GET", path)
    if answer.status == 404:
        return None
    _expect(answer)
    return answer.object


def _read(api: Api, path: str) -> Object:
    answer = send(api, "GET", path)
    _expect(answer)
    return answer.object


def _change(api: Api, path: str, body: Object) -> None:
    answer = send(api, "PATCH", path, object=body, kind=MERGE)
    if answer.status != 404:  # gone meanwhile
        _expect(answer)


def _delete(api: Api, path: str) -> None:
    """With what it has made."""
    answer = send(api, "DELETE", path, object={"propagationPolicy": "Background"})
    if answer.status != 404:
        _expect(answer)


def _expect(answer: Answer) -> None:
    """InputError for what the API server refuses."""
    if not answer.is_success:
        do = "see what stands in the way, then end the fault: gpulab heal"
        raise InputError(f"the API server refuses: {answer.message}", do)
