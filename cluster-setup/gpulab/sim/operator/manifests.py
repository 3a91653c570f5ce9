"""The objects of one operand as the operator writes them. Pure."""

from __future__ import annotations

import copy
import hashlib
import json
import string
from collections.abc import Iterator, Mapping
from typing import Any

from gpulab.sim.operator import configured, policy
from gpulab.sim.operator.operands import Operand
from gpulab.sim.operator.policy import Spec

Object = dict[str, Any]
NAMESPACE = "gpu-operator"
HASH = "nvidia.com/last-applied-hash"
RUNTIME_CLASSES = ("nvidia-cdi", "nvidia-legacy")  # beside the one that the spec names


def runtime_classes(owner: Object) -> Iterator[Object]:
    """Without CDI there is one only."""
    spec = policy.spec_of(owner)
    names = [policy.runtime_class(spec), *(RUNTIME_CLASSES if policy.has_cdi(spec) else ())]
    for name in names:
        yield {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": metadata(name, {"app.kubernetes.io/component": "gpu-operator"}, owner),
            "handler": name,
        }


def accompanying(operand: Operand, owner: Object) -> Iterator[Object]:
    """What the Pods of an operand need: account, ConfigMaps, Service."""
    labels = {"app": operand.labels["app"]}
    account = metadata(operand.account, {}, owner, NAMESPACE)
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
    for name, data in operand.config_maps.items():
        meta = metadata(name, labels, owner, NAMESPACE)
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
    if operand.service is not None:
        yield _service(operand, owner)


def operator_service(owner: Object) -> Object:
    """The operator's own metrics (state-operator-metrics)."""
    return service("gpu-operator", "gpu-operator-metrics", 8080, owner)


def _service(operand: Operand, owner: Object) -> Object:
    assert operand.service is not None
    return service(operand.name, operand.service.name, operand.service.port, owner)


def service(app: str, name: str, port: int, owner: Object) -> Object:
    meta = metadata(app, {"app": app}, owner, NAMESPACE)
    meta["annotations"] = {"prometheus.io/scrape": "true"}
    entry = {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}
    spec = {"selector": {"app": app}, "ports": [entry]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def daemon_set(operand: Operand, owner: Object) -> Object:
    """The DaemonSet, with a hash of what is wanted; ValueError for a spec without image."""
    spec = policy.spec_of(owner)
    common = policy.part(spec, "daemonsets")
    template = {
        "metadata": {"labels": {**operand.labels, **(common.get("labels") or {})}},
        "spec": _pod(operand, spec),
    }
    annotations = {**operand.annotations, **(common.get("annotations") or {})}
    if annotations:
        template["metadata"]["annotations"] = annotations
    body = {
        "selector": {"matchLabels": operand.selector or operand.labels},
        "updateStrategy": _strategy(operand, common),
        "template": template,
    }
    meta = metadata(
        operand.name, {**operand.labels, **(common.get("labels") or {})}, owner, NAMESPACE
    )
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    meta["annotations"] = {HASH: str(int(digest[:8], 16))}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": body}


def _pod(operand: Operand, spec: Spec) -> Object:
    common = policy.part(spec, "daemonsets")
    values = policy.images(operand, spec) | {
        "runtime_class": policy.runtime_class(spec),
        "mig_strategy": policy.mig_strategy(spec),
    }
    pod: Object = _fill(copy.deepcopy(operand.pod), values)
    left_out = [
        k
        for k, key in operand.init_without.items()
        if not policy.part(spec, key).get("enabled", True)
    ]
    if "initContainers" in pod:
        pod["initContainers"] = [c for c in pod["initContainers"] if c["name"] not in left_out]
    pod["nodeSelector"] = {
        f"nvidia.com/gpu.deploy.{operand.deploy}": "true"
    } | operand.node_selector
    pod["tolerations"] = policy.tolerations(spec)
    pod["priorityClassName"] = common.get("priorityClassName") or "system-node-critical"
    pod["serviceAccountName"] = operand.account
    if operand.runtime_class:
        pod["runtimeClassName"] = policy.runtime_class(spec)
    configured.configure(pod, spec, operand.main)
    for container in pod["containers"]:
        if container["name"] == operand.main:
            _customise(container, operand, spec)
    return pod


def _customise(container: Object, operand: Operand, spec: Spec) -> None:
    """What the spec says of the main container."""
    own = policy.part(spec, operand.key)
    env = {each["name"]: each for each in container.get("env") or []}
    given = dict(operand.cdi_env) if policy.has_cdi(spec) else {}
    given |= {each["name"]: each.get("value", "") for each in own.get("env") or []}
    env |= {name: {"name": name, "value": value} for name, value in given.items()}
    if env:
        container["env"] = list(env.values())
    for key in ("args", "resources", "imagePullPolicy"):
        if own.get(key):
            container[key] = own[key]
    if own.get("startupProbe") and "startupProbe" in container:
        container["startupProbe"] |= own["startupProbe"]


def _strategy(operand: Operand, common: Mapping[str, Any]) -> Object:
    if operand.on_delete or common.get("updateStrategy") == "OnDelete":
        return {"type": "OnDelete"}
    most = str((common.get("rollingUpdate") or {}).get("maxUnavailable") or "1")
    limit = int(most) if most.isdecimal() else most
    return {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": limit}}


def _fill(value: Any, values: Mapping[str, str]) -> Any:
    """Put values where the data says $name; a $ that is none of ours stays."""
    if isinstance(value, str):
        return string.Template(value).safe_substitute(values)
    if isinstance(value, list):
        return [_fill(each, values) for each in value]
    if isinstance(value, dict):
        return {key: _fill(each, values) for key, each in value.items()}
    return value


def metadata(
    name: str, labels: Mapping[str, str], owner: Object, namespace: str | None = None
) -> Object:
    """Metadata with the ClusterPolicy as owner, so that the garbage collector does the rest."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    found: Object = {"name": name, "labels": dict(labels), "ownerReferences": [reference]}
    return found | ({"namespace": namespace} if namespace else {})
