"""One node's samples: its GPUs, who holds them, what they make of them, what is wrong with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gpulab.exporter.occupancy import Loads, Running, holding
from gpulab.exporter.series import Holder, Seen
from gpulab.sim import loads
from gpulab.sim.causes import Injected
from gpulab.sim.device_map import find
from gpulab.sim.devices import OFF_THE_BUS
from gpulab.sim.gpus import Driver, Gpu
from gpulab.sim.nodes import Node
from gpulab.sim.smi import IDLE, Load, measure

Object = dict[str, Any]
APP = "nvidia-dcgm-exporter"
NOBODY: Holder = ("", "", "")


class Ailing(msgspec.Struct):
    """What is wrong with the GPUs of a node; by UUID."""

    xids: dict[str, int] = {}
    hot: frozenset[str] = frozenset()
    driver: Driver | None = None


def ailing(node: Node, faults: Iterable[Injected]) -> Ailing:
    """The faults at work on the node."""
    found, hot = Ailing(), set[str]()
    for each in faults:
        if each.until is not None or each.node != node.name:
            continue
        found.driver = each.cause.driver or found.driver
        sick = each.cause.gpu
        for gpu in node.gpus:
            if sick is not None and gpu.index == sick.index:
                if sick.xid is not None:
                    found.xids[gpu.uuid] = sick.xid
                if sick.hot:
                    hot.add(gpu.uuid)
    found.hot = frozenset(hot)
    return found


def samples(
    node: Node, pods: Sequence[Object], wrong: Ailing, scripts: Loads, now: dt.datetime
) -> Iterator[Seen]:
    """What dcgm-exporter would read on this node now; `pods` are those bound to it."""
    driver = wrong.driver or scripts.driver
    made, holders = occupied(node, pods, scripts, wrong.driver)
    for gpu in node.gpus:
        xid = wrong.xids.get(gpu.uuid, 0)
        load, hot = made.get(gpu.uuid, IDLE), gpu.uuid in wrong.hot
        reading = None if xid == OFF_THE_BUS else measure(gpu, load, now, hot=hot)
        holder = holders.get(gpu.uuid, NOBODY)
        yield Seen(node.name, gpu, driver.version, reading, xid, holder)


def occupied(
    node: Node, pods: Sequence[Object], scripts: Loads, driver: Driver | None
) -> tuple[dict[str, Load], dict[str, Holder]]:
    """The load on each GPU, and its first holder; by UUID."""
    holders: dict[str, Holder] = {}
    made: list[tuple[tuple[Gpu, ...], Load]] = []
    for pod, one in held(pods):
        found = (find(node.gpus, each, resource) for each, resource in one.ids)
        devices = [device for device in found if device is not None]
        gpus = {device.gpu.uuid: device.gpu for device in devices}
        made.append((tuple(gpus.values()), scripts.of(pod, one, devices, driver)))
        for uuid in gpus:
            holders.setdefault(uuid, one.holder)
    return loads.total(made), holders


def held(pods: Iterable[Object]) -> Iterator[tuple[Object, Running]]:
    for pod in pods:
        for one in holding(pod):
            yield pod, one


def has_exporter(pods: Iterable[Object]) -> bool:
    """Whether the node's dcgm-exporter runs: without it nobody reads its GPUs."""
    return any(is_exporter(pod) and _is_ready(pod) for pod in pods)


def is_exporter(pod: Object) -> bool:
    return bool((pod["metadata"].get("labels") or {}).get("app") == APP)


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
