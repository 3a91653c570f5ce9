"""Exercise 3: a plan for ten jobs, proven by placing them on as many nodes as it says."""

from __future__ import annotations

from autograders.checks import (
    CheckFailed,
    NotYet,
    answer_key,
    check,
    expect,
    expect_gpus,
    expect_no_bypass,
    expect_placed_by_scheduler,
    guard,
)
from autograders.cluster import Cluster, Node, Pod
from autograders.cluster.amounts import limits
from autograders.quiz.marking import as_number

JOBS, GPUS, MEMORY = 10, 2, 32 * 10**9
KEPT = 12
"""GiB of a node's memory that are not for Pods."""
PRODUCT = "NVIDIA-H100-80GB-HBM3"
MINIMUM, FEWER, STRAYS, DRAIN = "on-the-minimum", "on-one-fewer", "with-strays", "after-drain"
LOOK = "kubectl get jobs,pods --output wide --namespace gpu-plan"


@check(points=1)
def ask_for_their_share(cluster: Cluster) -> None:
    """Only what its limits name is set aside for a job."""
    planned(cluster)


@check(points=1, fidelity="simulated")
def run_all_at_once(cluster: Cluster) -> None:
    """Ten jobs at the same time, each on GPUs of the model that it was promised."""
    pods = planned(cluster)
    for pod in pods:
        if pod.in_flight and not pod.is_ready:
            raise NotYet(f"still waiting for {pod.in_flight}", "check again in a moment")
    count, astray = running(cluster), sum(not is_right(cluster, each) for each in pods if each.node)
    expect(
        count == JOBS,
        f"{count} of the ten jobs run on {PRODUCT}, and {astray} on other nodes",
        f"a limit counts GPUs of any model: select nvidia.com/gpu.product; then look: {LOOK}",
    )


@check(points=2, fidelity="simulated", phases=(MINIMUM,))
def fit_on_the_minimum(cluster: Cluster) -> None:
    """A plan is as good as the jobs that fit on it: rules that spread them waste nodes."""
    planned(cluster)
    tried = cluster.at(MINIMUM)
    count = running(tried)
    expect(
        count == JOBS,
        f"on {nodes(tried)} nodes, which is enough for ten such jobs, {count} of yours run at once",
        "take out what keeps them from sharing a node: a required anti-affinity or spread, or more"
        " memory or CPU than they need",
    )


@check(points=1, fidelity="simulated", phases=(FEWER,))
def need_the_minimum(cluster: Cluster) -> None:
    """If they fit on fewer nodes, they do not have what the task promises them."""
    expect_ten(cluster)
    tried = cluster.at(FEWER)
    expect(
        running(tried) < JOBS,
        f"on {nodes(tried)} nodes, which is one too few, all ten run at once",
        "each job needs 2 GPUs and 32 GB of memory for itself: set both as limits",
    )


@answer_key("minimum_nodes")
def minimum_nodes(cluster: Cluster) -> int:
    """Whole jobs per node, whole nodes: GPUs and memory of two nodes do not add up."""
    gpus, memory = int(cluster.variant["gpus"]), int(cluster.variant["memory_gib"]) - KEPT
    per_node = min(gpus // GPUS, memory * 2**30 // MEMORY)
    return -(-JOBS // per_node)


@answer_key("planned_nodes")
def planned_nodes(cluster: Cluster) -> tuple[int, int]:
    return minimum_nodes(cluster), minimum_nodes(cluster) + 1


@answer_key("planned_reason")
def planned_reason(cluster: Cluster) -> str:
    """The reason belongs to the number."""
    answer = cluster.answers.get("planned_nodes")
    number = None if answer is None else as_number(answer, "nodes")
    if number not in planned_nodes(cluster):
        raise CheckFailed("planned_nodes is not right yet", "advise the minimum, or one node more")
    return "a" if number == minimum_nodes(cluster) else "b"


@answer_key("jobs_with_strays", phases=(STRAYS,))
def jobs_with_strays(cluster: Cluster) -> int:
    planned(cluster)
    return running(cluster.at(STRAYS))


@answer_key("jobs_after_drain", phases=(DRAIN,))
def jobs_after_drain(cluster: Cluster) -> int:
    planned(cluster)
    return running(cluster.at(DRAIN))


@guard
def bypass_nothing(cluster: Cluster) -> None:
    """Ways round the limit give a job every GPU of its node, and the others lose theirs."""
    for pod in own(cluster):
        expect_no_bypass(pod)


@guard
def are_placed_by_the_scheduler(cluster: Cluster) -> None:
    """A node that is named by hand is not asked whether it has room."""
    for pod in own(cluster):
        expect_placed_by_scheduler(pod)


@guard
def nodes_are_as_given(cluster: Cluster) -> None:
    """The plan is for these nodes, not for nodes with another label on them."""
    given = {each.name: shape(each) for each in cluster.at("as-found").nodes()}
    for node in cluster.nodes():
        expect(
            given.get(node.name) == shape(node),
            f"node {node.name} has been changed: {', '.join(map(str, shape(node)))}",
            "give the nodes back their labels: gpulab why shows what a Pod sees of them",
        )


def shape(node: Node) -> tuple[str, int, int]:
    return node.product or "no GPU", node.capacity(), node.capacity("memory")


def own(cluster: Cluster) -> list[Pod]:
    return [each for each in cluster.pods() if each.namespace == cluster.namespace]


def expect_ten(cluster: Cluster) -> tuple[Pod, ...]:
    pods = cluster.job_pods()
    expect(
        len(pods) == JOBS,
        f"there are {len(pods)} Pods of Jobs in namespace {cluster.namespace}, not ten",
        f"ten Jobs, or one Indexed Job with completions and parallelism of 10; then look: {LOOK}",
    )
    return pods


def planned(cluster: Cluster) -> tuple[Pod, ...]:
    """The ten Pods, each with what a job needs."""
    pods = expect_ten(cluster)
    for pod in pods:
        expect_gpus(pod, exactly=GPUS)
        memory = limits(pod).get("memory", 0)
        expect(
            memory >= MEMORY,
            f"Pod {pod.name} has a memory limit of {float(memory) / 1e9:.1f} GB",
            "under resources.limits set memory: 32Gi (or 32G); what has no limit is not set aside",
        )
    return pods


def is_right(cluster: Cluster, pod: Pod) -> bool:
    return any(each.name == pod.node and each.product == PRODUCT for each in cluster.nodes())


def running(cluster: Cluster) -> int:
    """Jobs that run at once, on the GPUs that they were promised."""
    ready = [each for each in cluster.job_pods() if each.phase == "Running" and each.is_ready]
    return sum(is_right(cluster, each) for each in ready)


def nodes(cluster: Cluster) -> int:
    """Nodes with the right GPUs that are open."""
    right = [each.object for each in cluster.nodes() if each.product == PRODUCT]
    return sum(not each["spec"].get("unschedulable") for each in right)
