"""What a node offers: `nvidia.com/gpu` while its device plugin is registered, GFD's labels.

After pkg/kubelet/cm/devicemanager/manager.go v1.36.3 (GetCapacity) and GFD, which removes its file
as it ends; NFD's worker, which reads that file every minute, then removes the labels.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp

from gpulab.sim.api import ApiError
from gpulab.sim.device_map import is_device
from gpulab.sim.discovery import Discovery, is_discovered
from gpulab.sim.plugin import CDI, GFD
from gpulab.sim.runtime import NodeState, World

log = logging.getLogger(__name__)
STOP_GRACE = 300.0  # endpointStopGracePeriod: until a lost plugin's resource goes to 0
NFD_SLEEP = 60.0  # core.sleepInterval of NFD's worker
RESTART_GRACE = 3.0  # for containers that ran before we did to provide their facts again
RETRY = 0.5
NFD = "nfd-master"  # as the manager of the fields


Amounts = dict[str, Any]


def amounts(devices: int, healthy: int, registered: bool, lost_for: float) -> Amounts:
    """Capacity and allocatable of a resource that a plugin registers, or once registered.

    >>> amounts(8, 8, False, 10)
    {'capacity': '8', 'allocatable': '0'}
    """
    whole = devices if registered or lost_for < STOP_GRACE else 0
    return {"capacity": str(whole), "allocatable": str(healthy if registered else 0)}


class Offer:
    """Writes one node's GPUs and GFD labels whenever its facts change."""

    def __init__(self, state: NodeState, world: World) -> None:
        self._state, self._world = state, world
        self._wake = asyncio.Event()
        self._began = self._now()
        self._lost: dict[str, float] = {}  # when a plugin's resource went
        self._written: dict[str, Amounts] = {}  # by resource
        self._labels: dict[str, str] = {}  # GFD's, as the node has them
        state.facts.listen(self._changed)

    def adopt(self, node: Mapping[str, Any]) -> None:
        """Know what an earlier simulator has written."""
        status, known = node["status"], node["metadata"].get("labels") or {}
        whole, usable = (status.get(each) or {} for each in ("capacity", "allocatable"))
        for name in filter(is_device, whole):
            self._written[name] = {"capacity": whole[name], "allocatable": usable.get(name)}
            self._state.registered.add(name)
        self._labels = {key: value for key, value in known.items() if is_discovered(key)}

    def look(self) -> None:
        """Publish again: the health of a device has changed, or the driver."""
        self._wake.set()

    async def run(self) -> None:
        """Work, for ever."""
        await self._pause(RESTART_GRACE if self._written or self._labels else None)
        while True:
            try:
                due = await self._publish()
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("GPUs of %s: %s; trying again", self._state.node.name, error)
                due = RETRY
            await self._pause(due)

    async def _pause(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return
        self._wake.clear()

    def _changed(self, fact: str) -> None:
        facts = self._state.facts
        if is_device(fact) and facts.holds(fact):
            self._state.registered.add(fact)
            self._state.cdi = facts.holds(CDI)
        elif is_device(fact):
            self._lost[fact] = self._now()
        if is_device(fact) or fact == GFD:
            self._wake.set()

    async def _publish(self) -> float | None:
        """Write what differs; the seconds after which to look again, None if nothing is due."""
        wanted = {name: self._amounts(name) for name in sorted(self._state.registered)}
        change = {name: each for name, each in wanted.items() if each != self._written.get(name)}
        if change:
            await self._write(f"{self._path}/status", _status(change))
            self._written |= change
        gone = [name for name in wanted if not self._state.facts.holds(name)]
        due = [STOP_GRACE - self._lost_for(name) for name in gone]
        left = [each for each in (*due, await self._publish_labels()) if each and each > 0]
        return min(left) / self._world.speed + 0.01 if left else None

    def _amounts(self, resource: str) -> Amounts:
        pool, registered = self._state.devices, self._state.facts.holds(resource)
        whole, healthy = pool.capacity(resource), pool.healthy(resource)
        if not whole and resource in self._written:  # a resource that we know from the node alone
            whole = int(self._written[resource]["capacity"])
        return amounts(whole, healthy, registered, self._lost_for(resource))

    def _lost_for(self, resource: str) -> float:
        return (self._now() - self._lost.get(resource, self._began)) * self._world.speed

    async def _publish_labels(self) -> float | None:
        since = self._state.facts.since(GFD, True)
        if since is not None:
            wanted = self._discovered(int(since.timestamp()))
        elif not self._labels or (left := self._until_nfd_looks()) <= 0:
            wanted = {}
        else:
            return left
        change = {key: None for key in self._labels if key not in wanted} | {
            key: value for key, value in wanted.items() if self._labels.get(key) != value
        }
        if change:
            await self._write(self._path, {"metadata": {"labels": change}}, NFD)
            self._labels = wanted
        return None

    def _until_nfd_looks(self) -> float:
        gone = self._state.facts.since(GFD, False)
        began = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=self._now() - self._began)
        spent = dt.datetime.now(dt.UTC) - max(gone or began, began)
        return NFD_SLEEP - spent.total_seconds() * self._world.speed

    def _discovered(self, stamp: int) -> dict[str, str]:
        found: Discovery = self._state.facts.value(GFD) or Discovery()
        driver = self._state.driver_at(dt.datetime.now(dt.UTC)) or self._world.driver
        return found.labels(self._state.node.gpus, driver, stamp)

    async def _write(self, path: str, body: dict[str, Any], manager: str = "") -> None:
        try:
            await self._world.api.patch(path, body, manager=manager)
        except ApiError as error:
            if error.status != 404:  # somebody has deleted the node
                raise

    @property
    def _path(self) -> str:
        return f"/api/v1/nodes/{self._state.node.name}"

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _status(wanted: Mapping[str, Amounts]) -> dict[str, Any]:
    kinds = ("capacity", "allocatable")
    found = {kind: {name: each[kind] for name, each in wanted.items()} for kind in kinds}
    return {"status": found}
