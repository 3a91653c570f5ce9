"""What an exercise's checks.py is written with: decorators, and `expect_…` functions that explain.

>>> from autograders.checks import check, expect_gpus
>>> @check(points=2)
... def asks_for_one_gpu(cluster):
...     '''The scheduler sets GPUs aside only for a Pod whose limits name them.'''
...     expect_gpus(cluster.pod("trainer"), exactly=1)
>>> asks_for_one_gpu.name, asks_for_one_gpu.points
('asks_for_one_gpu', 2.0)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograders.cluster import Cluster, Node, Pod
from autograders.model import AnswerKey, Check, CheckFailed, Guard, NotYet, Unreadable

__all__ = [
    "CheckFailed",
    "NotYet",
    "Unreadable",
    "answer_key",
    "check",
    "expect",
    "expect_gpu_node",
    "expect_gpus",
    "expect_no_bypass",
    "expect_placed_by_scheduler",
    "expect_pulled",
    "expect_started",
    "expect_succeeded",
    "guard",
]

Judge = Callable[[Cluster], None]
Phases = tuple[str, ...]


def check(
    *, points: float, cell: str | None = None, fidelity: str = "real", phases: Phases = ()
) -> Callable[[Judge], Check]:
    """Make a function a check: it proves one fact, and is named after it.

    `phases` are the probes of exercise.toml that it looks at.
    """

    def wrap(function: Judge) -> Check:
        name, doc = function.__name__, function.__doc__ or ""
        return Check(name, float(points), cell, doc.strip(), fidelity, function, tuple(phases))

    return wrap


def guard(function: Judge) -> Guard:
    """Make a function a guard: when it fails, the score is 0."""
    return Guard(function.__name__, (function.__doc__ or "").strip(), function)


def answer_key(
    question: str, phases: Phases = ()
) -> Callable[[Callable[[Cluster], Any]], AnswerKey]:
    """Make a function the key of a question: it returns the answer, or a tuple of accepted ones."""
    return lambda function: AnswerKey(question, function, tuple(phases))


def expect(condition: object, seen: str, next: str) -> None:
    if not condition:
        raise CheckFailed(seen, next)


def expect_gpus(pod: Pod, *, at_least: int = 1, exactly: int | None = None) -> None:
    """The Pod's limits name GPUs; requests alone are refused, other names are other resources."""
    asked, wanted = pod.asks(), at_least if exactly is None else exactly
    right = asked == wanted if exactly is not None else asked >= wanted
    expect(
        right,
        f"Pod {pod.name} asks for {count(asked)}",
        f"under resources.limits set nvidia.com/gpu: {wanted}; a Pod's GPUs are fixed once it"
        " exists, so delete and create it",
    )


PULL_HINT = (
    "look the tag up in the registry, correct image: in your manifest and apply it again"
    " (the image is one of the few fields of a Pod that may change)"
)


def expect_pulled(pod: Pod, next: str = PULL_HINT) -> None:
    """The image of every container is on the Pod's node."""
    if pod.trouble and "Image" in pod.trouble[1]:
        container, reason, message = pod.trouble
        seen = f"the image {container.image} cannot be pulled: {reason}: {message}"
        raise CheckFailed(seen, next)
    if not all(each.is_pulled for each in pod.containers):
        expect_started(pod)


def expect_started(pod: Pod) -> None:
    """Every container of the Pod has run, or is running."""
    if pod.containers and all(each.has_started for each in pod.containers):
        return
    if pod.unschedulable:
        raise CheckFailed(
            f"no node can take Pod {pod.name}: {pod.unschedulable}",
            f"compare what it asks for with what nodes have: {describe(pod)}",
        )
    if pod.in_flight:
        raise NotYet(f"still waiting for {pod.in_flight}", "check again in a moment")
    raise CheckFailed(
        f"Pod {pod.name} has not started a container: {why_not_started(pod)}",
        f"read the events at the end of: {describe(pod)}",
    )


def describe(pod: Pod) -> str:
    return f"kubectl describe pod {pod.name} --namespace {pod.namespace}"


def why_not_started(pod: Pod) -> str:
    if pod.trouble:
        return pod.trouble[1]
    ends = [each.exit_reason for each in pod.all_containers if each.exit_reason]
    return "; ".join(ends) or str(pod.status.get("reason") or pod.phase)


def expect_succeeded(pod: Pod) -> None:
    """Every container of the Pod ended with exit code 0."""
    if pod.phase == "Succeeded":
        return
    expect_started(pod)
    if pod.in_flight:
        raise NotYet(f"still waiting for {pod.in_flight}", "check again in a moment")
    codes = [each.exit_code for each in pod.containers if each.exit_code]
    seen = f"exit code {codes[0]}" if codes else why_not_started(pod)
    next = f"read what it printed: kubectl logs {pod.name} --namespace {pod.namespace}"
    if pod.spec.get("restartPolicy", "Always") == "Always":
        next = "set restartPolicy: Never; with Always a Pod is started again and never succeeds"
    raise CheckFailed(f"Pod {pod.name} is {pod.phase}, not Succeeded ({seen})", next)


def expect_gpu_node(node: Node) -> None:
    expect(
        node.capacity(),
        f"node {node.name} has no nvidia.com/gpu",
        "ask for a GPU in the limits; then the scheduler takes a node that has one",
    )


def expect_no_bypass(pod: Pod) -> None:
    """Nothing gives the Pod GPUs that it did not ask for."""
    found = ", ".join(bypasses(pod))
    expect(
        not found,
        f"Pod {pod.name} has {found}",
        "take that out; the limit is all that is needed",
    )


def bypasses(pod: Pod) -> list[str]:
    """What would show a container GPUs that nobody counts."""
    volumes = [(each.get("hostPath") or {}).get("path") for each in pod.spec.get("volumes") or ()]
    found = [f"a hostPath volume of {path}" for path in volumes if path]
    for container in pod.all_containers:
        if container.privileged:
            found.append(f"a privileged container ({container.name})")
        if "NVIDIA_VISIBLE_DEVICES" in container.env:
            found.append(f"NVIDIA_VISIBLE_DEVICES set by hand ({container.name})")
    return found


def expect_placed_by_scheduler(pod: Pod) -> None:
    expect(
        not pod.placed_by_hand,
        f"the manifest of Pod {pod.name} names its node (spec.nodeName)",
        "take nodeName out: it bypasses the scheduler, and with it the counting of GPUs",
    )


def count(gpus: int) -> str:
    return {0: "no GPU", 1: "1 GPU"}.get(gpus, f"{gpus} GPUs")
