"""Exercise 1: a Pod that was given one GPU, ran nvidia-smi on it and ended well."""

from __future__ import annotations

import re
import shlex

from autograders.checks import (
    Unreadable,
    answer_key,
    check,
    expect,
    expect_gpu_node,
    expect_gpus,
    expect_no_bypass,
    expect_placed_by_scheduler,
    expect_pulled,
    expect_started,
    expect_succeeded,
    guard,
)
from autograders.cluster import Cluster, Node, Pod, names_product

POD = "gpu-test"
SMI = ("nvidia-smi", "/usr/bin/nvidia-smi")
SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash")
TAGS = (
    "tags of nvidia/cuda have three numbers, then a flavour and a system, such as"
    " 12.4.1-base-ubuntu22.04; correct image: in your manifest and apply it again (the image is"
    " one of the few fields of a Pod that may change)"
)


@check(points=1, fidelity="simulated")
def image_can_be_pulled(cluster: Cluster) -> None:
    """A Pod starts only once its node has the image."""
    expect_pulled(cluster.pod(POD), TAGS)


@check(points=2, fidelity="simulated")
def is_given_exactly_one_gpu(cluster: Cluster) -> None:
    """The scheduler sets GPUs aside for limits alone, and the kubelet then picks the devices."""
    pod = cluster.pod(POD)
    expect_gpus(pod, exactly=1)
    expect_started(pod)
    if cluster.node(pod.node).reports_devices:
        expect(
            len(pod.devices()) == 1,
            f"the kubelet gave Pod {POD} {len(pod.devices())} devices",
            "delete the Pod and create it again with nvidia.com/gpu: 1 in its limits",
        )


@check(points=1)
def runs_on_a_gpu_node(cluster: Cluster) -> None:
    """The limit alone is what leads a Pod to a node with GPUs."""
    pod = cluster.pod(POD)
    expect_started(pod)
    expect_gpu_node(cluster.node(pod.node))


@check(points=1, fidelity="simulated")
def succeeds(cluster: Cluster) -> None:
    """A Pod that has done its work and ended with 0 gives its GPU back."""
    expect_succeeded(cluster.pod(POD))


@check(points=2, fidelity="simulated")
def log_names_its_gpu(cluster: Cluster) -> None:
    """What nvidia-smi prints inside a container is what the container was given."""
    pod = cluster.pod(POD)
    expect_succeeded(pod)
    node, log = gpu_node(cluster, pod), cluster.log(pod)
    expect(
        names_product(log, node.product),
        f"the log does not name the GPU of node {node.name}, {node.product}",
        "let the container run nvidia-smi without options that leave the name out",
    )
    uuids = set(re.findall(r"GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", log))
    expect(
        not uuids or not pod.devices() or uuids == set(pod.devices()),
        f"the log lists {', '.join(sorted(uuids))}, which is not what the Pod was given",
        "delete the Pod and create it again",
    )


@guard
def runs_only_nvidia_smi(cluster: Cluster) -> None:
    """A log proves something only if nvidia-smi wrote it."""
    pod = cluster.find_pod(POD)
    for container in pod.all_containers if pod else ():
        expect(
            calls_only_nvidia_smi(container.command),
            f"container {container.name} runs {shlex.join(container.command) or 'its image'}",
            'let it run nvidia-smi alone: command: ["nvidia-smi"]',
        )


@guard
def bypasses_nothing(cluster: Cluster) -> None:
    """Ways round the limit show a container every GPU of its node, and nobody counts them."""
    pod = cluster.find_pod(POD)
    if pod:
        expect_no_bypass(pod)


@guard
def is_placed_by_the_scheduler(cluster: Cluster) -> None:
    """A node that is named by hand is not asked whether it has a GPU free."""
    pod = cluster.find_pod(POD)
    if pod:
        expect_placed_by_scheduler(pod)


@answer_key("gpu_name")
def gpu_name(cluster: Cluster) -> tuple[str, str]:
    product = node_of_the_log(cluster).product
    return product, product.removeprefix("NVIDIA-")


@answer_key("gpu_memory_mib")
def gpu_memory_mib(cluster: Cluster) -> int:
    node = node_of_the_log(cluster)
    if node.gpu_memory_mib is None:
        raise Unreadable(f"node {node.name} has no label nvidia.com/gpu.memory")
    return node.gpu_memory_mib


@answer_key("cuda_version")
def cuda_version(cluster: Cluster) -> str:
    node = node_of_the_log(cluster)
    if not node.cuda_version:
        raise Unreadable(f"node {node.name} has no label nvidia.com/cuda.runtime-version.full")
    return node.cuda_version


def node_of_the_log(cluster: Cluster) -> Node:
    """The questions are about a log, so there must be one."""
    pod = cluster.pod(POD)
    expect_started(pod)
    return gpu_node(cluster, pod)


def gpu_node(cluster: Cluster, pod: Pod) -> Node:
    """The Pod's node, which must have GPUs and say which."""
    node = cluster.node(pod.node)
    expect_gpu_node(node)
    if not node.product:
        raise Unreadable(f"node {node.name} has no label nvidia.com/gpu.product")
    return node


def calls_only_nvidia_smi(command: tuple[str, ...]) -> bool:
    """Also through a shell, as long as its line holds nothing but calls of nvidia-smi."""
    if len(command) != 3 or command[0] not in SHELLS or command[1] != "-c":
        return command[:1] != () and command[0] in SMI
    calls = re.split(r"&&|;|\n", command[2].strip().rstrip(";"))
    return all(re.fullmatch(r"\s*(/usr/bin/)?nvidia-smi(\s[\w\s.,=/:-]*)?", each) for each in calls)
