"""Which step between the hardware and the resource is broken."""

from __future__ import annotations

import pytest

from autograders.cluster import Node, Pod
from autograders.cluster.chain import OPERANDS, Chain, trace
from autograders.model import KubeObject

LABELS = {
    "feature.node.kubernetes.io/pci-10de.present": "true",
    "nvidia.com/gpu.present": "true",
    **{f"nvidia.com/gpu.deploy.{each.label}": "true" for each in OPERANDS},
    "nvidia.com/gpu.product": "NVIDIA-L40S",
    "nvidia.com/gpu.count": "4",
}
POLICY: KubeObject = {"spec": {}}
READY = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}


def operand(app: str, **status: object) -> Pod:
    meta = {"name": f"{app}-x", "namespace": "gpu-operator", "labels": {"app": app}}
    return Pod({"metadata": meta, "spec": {"nodeName": "n1"}, "status": status or READY})


def chain(
    labels: dict[str, str | None] | None = None,
    pods: dict[str, Pod | None] | None = None,
    policy: KubeObject | None = POLICY,
    gpus: str = "4",
    **spec: object,
) -> Chain | None:
    """A node on which all is well but for what is said; None takes away."""
    merged = {**LABELS, **(labels or {})}
    kept = {key: value for key, value in merged.items() if value is not None}
    running = {each.app: operand(each.app) for each in OPERANDS} | (pods or {})
    amounts = {"nvidia.com/gpu": "4"}
    node = {
        "metadata": {"name": "n1", "labels": kept},
        "spec": spec,
        "status": {"capacity": amounts, "allocatable": {"nvidia.com/gpu": gpus}},
    }
    return trace(Node(node), [each for each in running.values() if each], policy)


def broken(found: Chain | None) -> tuple[str, str] | None:
    assert found is not None
    return (found.broken.name, found.broken.seen) if found.broken else None


def test_nothing_is_broken_on_a_node_that_works() -> None:
    assert broken(chain()) is None


def test_a_node_without_nvidia_hardware_has_no_chain() -> None:
    assert trace(Node({"metadata": {"name": "cpu-1"}}), [], POLICY) is None


@pytest.mark.parametrize(
    ("labels", "name", "seen"),
    [
        ({"feature.node.kubernetes.io/pci-10de.present": None}, "nfd", "no label feature.node"),
        ({"nvidia.com/gpu.present": None}, "present", "no label nvidia.com/gpu.present"),
        (
            {"nvidia.com/gpu.deploy.driver": "paused-for-driver-upgrade"},
            "deploy driver",
            "nvidia.com/gpu.deploy.driver=paused-for-driver-upgrade",
        ),
        ({"nvidia.com/gpu.deploy.device-plugin": None}, "deploy device-plugin", "no label"),
        ({"nvidia.com/gpu.product": None}, "gfd", "no label nvidia.com/gpu.product"),
    ],
)
def test_a_label_that_is_not_there(labels: dict[str, str | None], name: str, seen: str) -> None:
    found = broken(chain(labels))
    assert found is not None
    assert found[0] == name
    assert seen in found[1]


def test_an_operand_without_a_pod_names_the_taint_that_keeps_it_away() -> None:
    taint = {"key": "team", "value": "a", "effect": "NoSchedule"}
    found = broken(chain(pods={"nvidia-driver-daemonset": None}, taints=[taint]))
    assert found == (
        "nvidia-driver-daemonset",
        "no Pod nvidia-driver-daemonset on the node; the node has taint team=a:NoSchedule",
    )


def test_taints_that_operands_tolerate_are_not_named() -> None:
    own = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    gpu = {"key": "nvidia.com/gpu", "value": "x", "effect": "NoSchedule"}
    team = {"key": "team", "value": "a", "effect": "NoSchedule"}
    missing: dict[str, Pod | None] = {"nvidia-driver-daemonset": None}
    found = broken(chain(pods=missing, taints=[own, gpu]))
    assert found == ("nvidia-driver-daemonset", "no Pod nvidia-driver-daemonset on the node")
    policy = {"spec": {"daemonsets": {"tolerations": [{"key": "team", "operator": "Exists"}]}}}
    found = broken(chain(pods=missing, policy=policy, taints=[own, team]))
    assert found == ("nvidia-driver-daemonset", "no Pod nvidia-driver-daemonset on the node")


def test_the_first_operand_that_fails_is_named_and_not_those_that_wait_for_it() -> None:
    crash = {
        "phase": "Running",
        "containerStatuses": [
            {"name": "c", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "m"}}}
        ],
    }
    driver = operand("nvidia-driver-daemonset", **crash)
    driver.object["spec"]["containers"] = [{"name": "c"}]
    waits = operand("nvidia-container-toolkit-daemonset", phase="Pending")
    waits.object["spec"]["initContainers"] = [{"name": "driver-validation"}]
    pods: dict[str, Pod | None] = {
        "nvidia-driver-daemonset": driver,
        "nvidia-container-toolkit-daemonset": waits,
    }
    assert broken(chain(pods=pods)) == (
        "nvidia-driver-daemonset",
        "nvidia-driver-daemonset-x: CrashLoopBackOff",
    )
    pods["nvidia-driver-daemonset"] = operand("nvidia-driver-daemonset")
    assert broken(chain(pods=pods)) == (
        "nvidia-container-toolkit-daemonset",
        "nvidia-container-toolkit-daemonset-x: Init:0/1",
    )


def test_an_operand_that_the_policy_leaves_out_is_not_missed() -> None:
    policy = {"spec": {"driver": {"enabled": False}}}
    assert broken(chain(pods={"nvidia-driver-daemonset": None}, policy=policy)) is None


def test_without_an_operator_labels_and_resource_are_enough() -> None:
    bare: dict[str, str | None] = {f"nvidia.com/gpu.deploy.{each.label}": None for each in OPERANDS}
    nobody: dict[str, Pod | None] = {each.app: None for each in OPERANDS}
    assert broken(chain(bare, nobody, policy=None)) is None


def test_a_gpu_that_is_not_allocatable_is_counted() -> None:
    expected = ("allocatable", "3 of 4 nvidia.com/gpu allocatable")
    assert broken(chain(gpus="3")) == expected
    shared = chain({"nvidia.com/gpu.replicas": "2"}, gpus="4")
    assert broken(shared) == ("allocatable", "4 of 8 nvidia.com/gpu allocatable")
