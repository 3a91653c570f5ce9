"""Exercise 2: a Pod that succeeded without a GPU is replaced by one that has what it needs."""

from __future__ import annotations

import shlex
from typing import Any

from autograders.checks import (
    check,
    expect,
    expect_gpu_node,
    expect_gpus,
    expect_no_bypass,
    expect_placed_by_scheduler,
    expect_started,
    expect_succeeded,
    guard,
)
from autograders.cluster import Cluster, Container, Pod

OWN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where the API server mounts the Pod's own identity."""


@check(points=4)
def asks_for_the_gpus(cluster: Cluster) -> None:
    """A container gets a GPU only when its limits name nvidia.com/gpu."""
    repaired(cluster)


@check(points=3, fidelity="simulated")
def succeeds_on_the_promised_model(cluster: Cluster) -> None:
    """The limit counts GPUs and knows no model; the label of the node does."""
    pod = repaired(cluster)
    expect_succeeded(pod)
    node, wanted = cluster.node(pod.node), cluster.variant["product"]
    expect_gpu_node(node)
    expect(
        node.labels.get("nvidia.com/gpu.product") == wanted,
        f"node {node.name} has {node.product}, and the customer pays for {wanted}",
        f"add a nodeSelector with nvidia.com/gpu.product: {wanted}, and replace the Pod",
    )


@check(points=1, fidelity="simulated")
def prints_true(cluster: Cluster) -> None:
    """The customer's own program is the proof."""
    pod = repaired(cluster)
    expect_succeeded(pod)
    said = cluster.log(pod).strip()
    expect(
        said == "True",
        f"the Pod printed {said[:40]!r}",
        f"replace the Pod, then read: kubectl logs {pod.name} --namespace {pod.namespace}",
    )


@check(points=2, fidelity="simulated")
def is_given_its_gpus(cluster: Cluster) -> None:
    """The kubelet hands out as many devices as the limits name, and counts them."""
    pod = repaired(cluster)
    expect_started(pod)
    given = len(pod.devices())
    expect(
        given == pod.asks() or not cluster.node(pod.node).reports_devices,
        f"the kubelet gave Pod {pod.name} {given} of {pod.asks()} devices",
        "delete the Pod and create it again",
    )


@guard
def runs_the_same_program(cluster: Cluster) -> None:
    """A program that was changed to print True proves nothing."""
    pod = cluster.find_pod(pod_name(cluster))
    if pod:
        found = cluster.at("as-found").pod(pod.name)
        expect(
            programs(pod) == programs(found),
            f"Pod {pod.name} runs another program than the one you were given: {calls(pod)}",
            f"change its resources and where it may run, nothing else; given was {calls(found)}",
        )


@guard
def bypasses_nothing(cluster: Cluster) -> None:
    """Ways round the limit show a container every GPU of its node, and nobody counts them."""
    pod = cluster.find_pod(pod_name(cluster))
    if pod:
        expect_no_bypass(pod)


@guard
def is_placed_by_the_scheduler(cluster: Cluster) -> None:
    """A node that is named by hand is not asked whether it has a GPU free."""
    pod = cluster.find_pod(pod_name(cluster))
    if pod:
        expect_placed_by_scheduler(pod)


def pod_name(cluster: Cluster) -> str:
    return str(cluster.variant["pod"])


def repaired(cluster: Cluster) -> Pod:
    """The Pod, once it asks for its GPUs; as it was given it proves nothing."""
    pod = cluster.pod(pod_name(cluster))
    expect_gpus(pod, at_least=int(cluster.variant["gpus"]))
    return pod


def programs(pod: Pod) -> list[dict[str, Any]]:
    """Everything about its containers that decides what they run; names may change."""
    return [program(each) for each in pod.all_containers]


def program(container: Container) -> dict[str, Any]:
    kept = {
        key: container.spec.get(key) or []
        for key in ("image", "command", "args", "env", "envFrom", "workingDir")
    }
    mounts = container.spec.get("volumeMounts") or ()
    return {**kept, "mounts": [each for each in mounts if each["mountPath"] != OWN_MOUNT]}


def calls(pod: Pod) -> str:
    """Images and commands, for a message."""
    lines = [f"{each.image} {shlex.join(each.command)}" for each in pod.all_containers]
    return "; ".join(lines)
