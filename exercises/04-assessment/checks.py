"""Exercise 4: keys of the questions that the cluster answers; they rest on what setup.yaml gives.

Node names and device IDs are never answers, and Pods of other namespaces do not count: the same
answers are right on every clean cluster with this fleet.
"""

from __future__ import annotations

from autograders.checks import CheckFailed, NotYet, Unreadable, answer_key
from autograders.cluster import Cluster, Pod

GIVEN = {"inference": 2, "finetune": 2, "finished": 2, "too-large": 16}
"""The Pods of setup.yaml, and the GPUs that the scheduler sets aside for each."""


@answer_key("total_gpus")
def total_gpus(cluster: Cluster) -> int:
    total = sum(node.allocatable() for node in cluster.nodes())
    if not total:
        raise Unreadable("no node has a GPU")
    return total


@answer_key("largest_memory")
def largest_memory(cluster: Cluster) -> tuple[str, ...]:
    """With and without the maker's name; more than one where they are equal."""
    nodes = [each for each in cluster.nodes() if each.product and each.gpu_memory_mib]
    if not nodes:
        raise Unreadable("no node has the labels nvidia.com/gpu.product and nvidia.com/gpu.memory")
    most = max(each.gpu_memory_mib or 0 for each in nodes)
    products = {each.product for each in nodes if each.gpu_memory_mib == most}
    return tuple(name for each in products for name in (each, each.removeprefix("NVIDIA-")))


@answer_key("held_gpus")
def held_gpus(cluster: Cluster) -> int:
    pods = [given(cluster, name) for name in GIVEN]
    for pod in pods:
        if pod.in_flight:
            raise NotYet(f"still waiting for {pod.in_flight}", "check again in a moment")
    return sum(pod.asks() for pod in pods if pod.node and not pod.is_finished)


@answer_key("why_pending")
def why_pending(cluster: Cluster) -> str:
    pod = given(cluster, "too-large")
    if any(node.allocatable() >= pod.asks() for node in cluster.nodes()):
        raise Unreadable(f"a node has {pod.asks()} GPUs; the exercise is made for smaller ones")
    return "c"


@answer_key("qos_class")
def qos_class(cluster: Cluster) -> str:
    return str(given(cluster, "inference").status.get("qosClass"))


def given(cluster: Cluster, name: str) -> Pod:
    """A Pod as setup.yaml has it; questions about another one cannot be judged."""
    pod = cluster.find_pod(name)
    if pod is None:
        raise CheckFailed(
            f"there is no Pod {name} in namespace {cluster.namespace}",
            "run: gpulab start 04; if you have, gpulab reset 04 gives the Pod back (answers stay)",
        )
    if pod.asks() != GIVEN[name]:
        raise CheckFailed(
            f"Pod {name} asks for {pod.asks()} GPUs now",
            "give it back as it was: gpulab reset 04 (answers stay)",
        )
    return pod
