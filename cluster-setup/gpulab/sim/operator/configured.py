"""What a ConfigMap of the ClusterPolicy changes in an operand's Pod. Pure.

After NVIDIA/gpu-operator v26.7.0, controllers/object_controls.go: handleDevicePluginConfig,
TransformMIGManager.
"""

from __future__ import annotations

from typing import Any

from gpulab.sim.operator import policy
from gpulab.sim.operator.policy import Spec

Object = dict[str, Any]
MANAGERS = ("config-manager-init", "config-manager")
KINDS = ("initContainers", "containers")


def configure(pod: Object, spec: Spec, main: str) -> None:
    """Change the Pod spec as the ConfigMaps that the ClusterPolicy names want it."""
    _plugin(pod, policy.part(policy.part(spec, "devicePlugin"), "config"), main)
    _mig(pod, policy.part(policy.part(spec, "migManager"), "config").get("name") or "")


def _plugin(pod: Object, config: Spec, main: str) -> None:
    name = config.get("name")
    has_one = any(each["name"] in MANAGERS for kind in KINDS for each in pod.get(kind) or [])
    if not has_one:
        return
    if not name:
        for kind in KINDS:
            pod[kind] = [each for each in pod[kind] if each["name"] not in MANAGERS]
        return
    mounts = [
        {"name": "config", "mountPath": "/config"},
        {"name": name, "mountPath": "/available-configs"},
    ]
    for each in (each for kind in KINDS for each in pod[kind]):
        if each["name"] in MANAGERS:
            _set(each, "DEFAULT_CONFIG", config.get("default") or "")
            _set(each, "FALLBACK_STRATEGIES", "empty")
        elif each["name"] == main:
            _set(each, "CONFIG_FILE", "/config/config.yaml")
        else:
            continue
        each["volumeMounts"] = [*(each.get("volumeMounts") or []), *mounts]
    if not pod.get("hostPID"):
        pod["shareProcessNamespace"] = True
    pod["volumes"] += [
        {"name": name, "configMap": {"name": name}},
        {"name": "config", "emptyDir": {}},
    ]


def _mig(pod: Object, name: str) -> None:
    volume = next(
        (one for one in pod.get("volumes") or [] if one["name"] == "mig-parted-config"), None
    )
    if volume is None:
        return
    [container] = pod["containers"]
    if name:
        volume["configMap"]["name"] = name
        _set(container, "CONFIG_FILE", "/mig-parted-config/config.yaml")
    else:
        volume["configMap"]["items"] = [{"key": "config.yaml", "path": "config-default.yaml"}]
        _set(container, "DEFAULT_CONFIG_FILE", "/mig-parted-config/config-default.yaml")


def _set(container: Object, name: str, value: str) -> None:
    env = [each for each in container.get("env") or [] if each["name"] != name]
    container["env"] = [*env, {"name": name, "value": value}]
