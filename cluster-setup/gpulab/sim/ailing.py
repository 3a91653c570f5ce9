"""What of a node's faults is a state of the node: defects, driver, heat, images, devices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from gpulab.sim.causes import Injected
from gpulab.sim.runtime import NodeState

# defects that the kubelet's own work fails by; all others are the workloads' alone
REGISTRY_UNREACHABLE = "registry-unreachable"
RUNTIME_UNCONFIGURED = "containerd-config-overwritten"


def take(state: NodeState, every: Sequence[Injected]) -> bool:
    """Make the node what its faults make it, ended ones included; whether GFD sees a change."""
    faults = [each for each in every if each.until is None]
    causes = [each.cause for each in faults]
    _set_defects(state, {cause.defect for cause in causes if cause.defect})
    state.lost_images = frozenset(cause.lost_image for cause in causes if cause.lost_image)
    sick = [cause.gpu.index for cause in causes if cause.gpu and cause.gpu.hot]
    state.hot = frozenset(gpu.uuid for gpu in state.node.gpus if gpu.index in sick)
    reloads = [each.since for each in faults if each.cause.daemon_reload]
    state.reloaded = max(reloads, default=None)
    before = state.drivers
    state.drivers = [(e.since, e.until, e.cause.driver) for e in every if e.cause.driver]
    return state.drivers != before


def _set_defects(state: NodeState, defects: set[str]) -> None:
    for defect in state.defects - defects:
        state.facts.withdraw(defect)
    for defect in defects - state.defects:
        state.facts.provide(defect, defect, dt.datetime.now(dt.UTC))
    state.defects = defects
