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
from gpulab.sim.gpus import labels
from gpulab.sim.nodes import GPU
from gpulab.sim.runtime import NodeState, World

log = logging.getLogger(__name__)
GFD, CDI = "gfd", "cdi"  # facts: GFD has written its file; the plugin hands over by CDI
STOP_GRACE = 300.0  # endpointStopGracePeriod: until a lost plugin's resource goes to 0
NFD_SLEEP = 60.0  # core.sleepInterval of NFD's worker
RESTART_GRACE = 3.0  # for containers that ran before we did to provide their facts again
RETRY = 0.5
NFD = "nfd-master"  # as the manager of the fields


def amounts(
    gpus: int, healthy: int, registered: bool, ever: bool, lost_for: float
) -> dict[str, Any] | None:
    """Capacity and allocatable; None where no plugin has ever registered.

    >>> amounts(8, 8, False, True, 10)
    {'capacity': '8', 'allocatable': '0'}
    """
    if not registered and not ever:
        return None
    whole = gpus if registered or lost_for < STOP_GRACE else 0
    return {"capacity": str(whole), "allocatable": str(healthy if registered else 0)}


class Offer:
    """Writes one node's GPUs and GFD labels whenever its facts change."""

    def __init__(self, state: NodeState, world: World) -> None:
        self._state, self._world = state, world
        self._wake = asyncio.Event()
        self._began = self._lost = self._now()
        self._ever = False
        self._written: dict[str, Any] | None = None
        self._labels: dict[str, str] = {}  # GFD's, as the node has them
        state.facts.listen(self._changed)

    def adopt(self, node: Mapping[str, Any]) -> None:
        """Know what an earlier simulator has written."""
        status, known = node["status"], node["metadata"].get("labels") or {}
        have = {each: (status.get(each) or {}).get(GPU) for each in ("capacity", "allocatable")}
        if have["capacity"] is not None:
            self._ever, self._written = True, have
        self._state.registered_before = self._ever
        self._labels = {key: known[key] for key in self._discovered(0) if key in known}

    def look(self) -> None:
        """Publish again: the health of a device has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Work, for ever."""
        await self._pause(RESTART_GRACE if self._ever or self._labels else None)
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
        if fact == GPU and facts.holds(GPU):
            self._ever = self._state.registered_before = True
            self._state.cdi = facts.holds(CDI)
        elif fact == GPU:
            self._lost = self._now()
        if fact in (GPU, GFD):
            self._wake.set()

    async def _publish(self) -> float | None:
        """Write what differs; the seconds after which to look again, None if nothing is due."""
        registered = self._state.facts.holds(GPU)
        lost_for = (self._now() - self._lost) * self._world.speed
        healthy = self._state.devices.healthy
        gpus = len(self._state.node.gpus)
        wanted = amounts(gpus, healthy, registered, self._ever, lost_for)
        if wanted is not None and wanted != self._written:
            await self._write(f"{self._path}/status", _status(wanted))
            self._written = wanted
        due = None if registered or not self._ever else STOP_GRACE - lost_for
        label_due = await self._publish_labels()
        left = [each for each in (due, label_due) if each is not None and each > 0]
        return min(left) / self._world.speed + 0.01 if left else None

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
        gpus = self._state.node.gpus
        return labels(gpus[0].model, len(gpus), self._world.driver, timestamp=stamp)

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


def _status(wanted: Mapping[str, str]) -> dict[str, Any]:
    return {"status": {each: {GPU: amount} for each, amount in wanted.items()}}
