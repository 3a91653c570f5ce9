"""Who holds how many GPUs on which node."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from autograders.cluster.nodes import Node
from autograders.cluster.pods import GPU, Pod


@dataclass(frozen=True)
class Holding:
    """The GPUs that one Pod keeps from all others."""

    namespace: str
    """The Pod's namespace."""
    pod: str
    """The Pod's name."""
    gpus: int
    """How many."""


@dataclass(frozen=True)
class Allocation:
    """One node's GPUs, counted as the scheduler counts them."""

    node: str
    """The node's name."""
    product: str
    """Its GPUs' product label; empty without GPUs."""
    allocatable: int
    """GPUs that Pods may have."""
    holdings: tuple[Holding, ...]
    """Who has some of them, by namespace and name."""

    @property
    def held(self) -> int:
        return sum(each.gpus for each in self.holdings)

    @property
    def free(self) -> int:
        """Never negative: a device may fail under a Pod that keeps it."""
        return max(0, self.allocatable - self.held)


def allocations(
    nodes: Iterable[Node], pods: Iterable[Pod], resource: str = GPU
) -> tuple[Allocation, ...]:
    """Count every node's GPUs, in the order of the nodes."""
    by_node: dict[str | None, list[Holding]] = {}
    for pod in pods:
        if pod.node and not pod.is_finished and pod.asks(resource):
            holding = Holding(pod.namespace, pod.name, pod.asks(resource))
            by_node.setdefault(pod.node, []).append(holding)
    return tuple(
        Allocation(
            node.name,
            node.product,
            node.allocatable(resource),
            tuple(sorted(by_node.get(node.name, ()), key=lambda one: (one.namespace, one.pod))),
        )
        for node in nodes
    )


def names_product(text: str, product: str) -> bool:
    """Say whether a text, such as nvidia-smi's table, names this product.

    Labels have dashes for spaces, and the table shortens long names with dots.

    >>> names_product("|   0  NVIDIA H100 80GB HBM3   On |", "NVIDIA-H100-80GB-HBM3")
    True
    """
    if not product:
        return False
    dashed = text.replace(" ", "-")
    shortened = re.findall(r"(NVIDIA-[\w-]{6,}?)-?\.\.\.", dashed)
    return product in dashed or any(product.startswith(each) for each in shortened)
