"""Lesson 4: a DaemonSet that finds its nodes as the GPU Operator's own do."""

from __future__ import annotations

import copy

from autograders.checks import CheckFailed, NotYet, check, expect
from autograders.cluster import Cluster, Node, Pod
from autograders.cluster.fit import why
from autograders.model import KubeObject

NAME, CLASS = "gpu-agent", "nvidia"
LOOK = f"kubectl get daemonset {NAME} --namespace lesson-04-task"
OTHER = {
    "kubernetes.io/hostname": "new-1",
    "nvidia.com/gpu.product": "NVIDIA-B200",
    "nvidia.com/gpu.family": "blackwell",
    "nvidia.com/gpu.count": "16",
    "nvidia.com/gpu.memory": "1",
    "nvidia.com/gpu.compute.major": "10",
}
"""What the next node that is bought may have other than the nodes of today."""
TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}


@check(points=2, fidelity="simulated")
def runs_on_every_gpu_node(cluster: Cluster) -> None:
    """A DaemonSet keeps one Pod on each node that it selects."""
    pods = own(cluster)
    for node in filter(Node.capacity, cluster.nodes()):
        here = [each for each in pods if each.node == node.name]
        expect(
            here,
            f"node {node.name} has GPUs and no Pod of {NAME}",
            f"compare its labels and taints with your selector and tolerations, then: {LOOK}",
        )
        for pod in here:
            if pod.in_flight and not pod.is_ready:
                raise NotYet(f"still waiting for {pod.in_flight}", "check again in a moment")
            expect(
                pod.phase == "Running",
                f"the Pod on {node.name} is {pod.phase}",
                "an agent runs until its node goes: give its container a command that does not end",
            )


@check(points=1)
def stays_off_other_nodes(cluster: Cluster) -> None:
    """A node without GPUs has no such label, so a selector is all that it takes."""
    for pod in own(cluster):
        node = cluster.node(pod.node)
        expect(
            node.capacity(),
            f"{pod.name} is on {node.name}, which has no GPU",
            "add a nodeSelector with a label that every GPU node has, and no other node",
        )


@check(points=2)
def comes_with_new_nodes(cluster: Cluster) -> None:
    """The operator labels a node that is new, whatever it is called and whatever its GPUs are."""
    found = why(template(cluster), [new_node(cluster)], ())
    expect(
        found.fits,
        f"it would not come to a new node with other GPUs and their taint: {found.message()}",
        "select nvidia.com/gpu.present, no name and no model, and tolerate nvidia.com/gpu",
    )


@check(points=1)
def takes_no_gpu(cluster: Cluster) -> None:
    """An agent that takes a GPU on each node takes it from those who pay for it."""
    asked = template(cluster).asks()
    expect(
        not asked,
        f"each of its Pods takes {asked} GPU",
        "leave nvidia.com/gpu out of its limits: to watch GPUs is not to use them",
    )


@check(points=1)
def waits_for_the_toolkit(cluster: Cluster) -> None:
    """Under the RuntimeClass a Pod starts only once the node's toolkit has set the runtime up."""
    given = template(cluster).spec.get("runtimeClassName")
    expect(
        given == CLASS,
        f"its Pods have {f'runtimeClassName {given}' if given else 'no runtimeClassName'}",
        f"set runtimeClassName: {CLASS} in the template, as the operator's DaemonSets do",
    )


def daemon_set(cluster: Cluster) -> KubeObject:
    for each in cluster.objects("DaemonSet", "daemonsets"):
        meta = each["metadata"]
        if (meta.get("namespace"), meta["name"]) == (cluster.namespace, NAME):
            return each
    raise CheckFailed(
        f"there is no DaemonSet {NAME} in namespace {cluster.namespace}",
        "run: gpulab start lesson-04, then: kubectl apply --filename agent.yaml",
    )


def own(cluster: Cluster) -> tuple[Pod, ...]:
    """The Pods of the DaemonSet that have a node."""
    uid = daemon_set(cluster)["metadata"]["uid"]
    mine = (each for each in cluster.pods() if each.namespace == cluster.namespace)
    found = tuple(each for each in mine if each.node and owned_by(each, uid))
    if not found:
        raise CheckFailed(f"DaemonSet {NAME} has no Pod on any node", f"see why: {LOOK} -o yaml")
    return found


def template(cluster: Cluster) -> Pod:
    """The Pod that it would make; without any on a node it is no answer yet."""
    own(cluster)
    made = daemon_set(cluster)["spec"]["template"]
    return Pod({"metadata": {"name": NAME}, "spec": made["spec"]})


def owned_by(pod: Pod, uid: str) -> bool:
    owners = pod.object["metadata"].get("ownerReferences") or ()
    return any(each.get("uid") == uid for each in owners)


def new_node(cluster: Cluster) -> Node:
    """A node as the operator would label it, with another name, other GPUs, and their taint."""
    known = next(filter(Node.capacity, cluster.nodes()), None)
    if known is None:
        raise CheckFailed("no node has GPUs", "see: kubectl get nodes, and gpulab status")
    found = copy.deepcopy(known.object)
    found["metadata"]["name"] = OTHER["kubernetes.io/hostname"]
    found["metadata"]["labels"] |= OTHER
    found["spec"] = {"taints": [TAINT]}
    return Node(found)
