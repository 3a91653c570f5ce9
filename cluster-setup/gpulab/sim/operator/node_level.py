"""Operands of a fleet too large for a Pod each: what they provide, from the labels alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from gpulab.sim.device_map import whole
from gpulab.sim.nodes import GPU
from gpulab.sim.operator import policy
from gpulab.sim.operator.operands import Operand
from gpulab.sim.operator.plan import Observed
from gpulab.sim.plugin import GFD, REGISTERED
from gpulab.sim.runtime import NodeState

CHAIN = ("driver", "container-toolkit", "operator-validator")
PROVIDES = {
    GPU: "device-plugin",
    REGISTERED: "device-plugin",
    GFD: "gpu-feature-discovery",
}


def provide(nodes: Mapping[str, NodeState], seen: Observed, operands: Sequence[Operand]) -> None:
    """Make the facts of every node what its operands would make them."""
    on = enabled(seen, operands)
    for name, state in nodes.items():
        wanted = set(facts(seen.nodes.get(name, {}), on))
        for fact in PROVIDES:
            if fact in wanted and not state.facts.holds(fact):
                listed = whole(state.node.gpus) if fact == GPU else None
                state.facts.provide(fact, fact, dt.datetime.now(dt.UTC), listed)
            elif fact not in wanted:
                state.facts.withdraw(fact)


def enabled(seen: Observed, operands: Sequence[Operand]) -> set[str]:
    """Suffixes of the labels of operands that the ClusterPolicy in charge has."""
    owner = policy.in_charge(seen.policies.values())
    spec = policy.spec_of(owner) if owner is not None else {}
    return {each.deploy for each in operands if owner and policy.is_enabled(each, spec)}


def facts(labels: Mapping[str, str], on: set[str]) -> Iterator[str]:
    """What holds on a node with these labels."""

    def runs(suffix: str) -> bool:
        wanted = labels.get(f"nvidia.com/gpu.deploy.{suffix}") == "true"
        return wanted and suffix in on

    if all(map(runs, CHAIN)):
        yield from (fact for fact, suffix in PROVIDES.items() if runs(suffix))
