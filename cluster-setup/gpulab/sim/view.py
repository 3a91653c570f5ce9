"""What a container sees: its node, its GPUs, and what has become of them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gpulab.sim import loads
from gpulab.sim.gpus import Gpu
from gpulab.sim.mig import Layout, Slice
from gpulab.sim.program import Surroundings
from gpulab.sim.times import now

if TYPE_CHECKING:
    from gpulab.sim.container import Lifecycle

DRIVER, DRIVER_CONTAINER = "driver", "nvidia-driver-ctr"  # fact, and who provides it


def surroundings(life: Lifecycle) -> Surroundings:
    return Surroundings(
        life.pod,
        life.container.spec,
        life.node.node.name,
        life.address,
        life.node.driver_at(_begun(life)) or life.world.driver,
        _visible(life),
        life.inputs,
        pace=life.world.pace,
        cdi=life.node.cdi,
        troubles=tuple(life.node.troubles),
        lost=life.node.devices.lost(),
        devices=life.container.devices,
        slices=_slices(life),
        board=life.node.node.gpus,
        layout=dict(life.node.layout),
        choices=life.node.choices,
        journal=life.node.journal,
        loads=loads.total(life.node.loads.values()),
        hot=life.node.hot,
        blind=_blind(life),
    )


def _begun(life: Lifecycle) -> dt.datetime:
    """When its last run began; now, if it never ran."""
    state = life.container.state.get("running") or life.container.state.get("terminated")
    return life.started_at(state) if state else now(exact=True)


def _blind(life: Lifecycle) -> bool:
    """Whether it ran when its node's devices were taken away from containers that ran."""
    reloaded = life.node.reloaded
    if reloaded is None or not life.container.running or not life.container.devices:
        return False
    return _begun(life) < reloaded


def _sees_all(life: Lifecycle) -> bool:
    """Whether it has all GPUs of the node: the driver's container and its clients do."""
    client = life.pod["spec"].get("runtimeClassName") or life.container.name == DRIVER_CONTAINER
    free = life.operand and life.node.facts.holds(DRIVER) and not life.container.devices
    return bool(free and client)


def _visible(life: Lifecycle) -> tuple[Gpu, ...]:
    """The GPUs that it was given, whole or in part."""
    given = {device.gpu.uuid: device.gpu for device in life.container.devices}
    return life.node.node.gpus if _sees_all(life) else tuple(given.values())


def _slices(life: Lifecycle) -> Layout:
    """The slices that it sees, of each GPU in MIG mode."""
    if _sees_all(life):
        return life.node.layout
    found: dict[str, tuple[Slice, ...]] = {}
    for device in life.container.devices:
        if device.slice is not None and device.slice not in found.get(device.gpu.uuid, ()):
            found[device.gpu.uuid] = (*found.get(device.gpu.uuid, ()), device.slice)
    return found
