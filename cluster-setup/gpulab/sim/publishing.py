"""ResourceSlices of all nodes: written while the DRA driver of a node is registered.

A kubelet wipes those of a driver that is gone for a while: pkg/kubelet/cm/dra/plugin v1.36.3.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import aiohttp

from gpulab.sim import dra
from gpulab.sim.api import ApiError
from gpulab.sim.runtime import NodeState, World

log = logging.getLogger(__name__)
PATH = "/apis/resource.k8s.io/v1/resourceslices"
WIPE = 30.0  # seconds after which the slices of a driver that is gone go
RETURN = 3.0  # for a driver that ran before this simulator to register again
RETRY = 0.5
MANAGER = "gpu-kubelet-plugin"


class Publisher:
    """Writes one node's."""

    def __init__(self, state: NodeState, world: World) -> None:
        self._state, self._world = state, world
        self._wake = asyncio.Event()
        state.facts.listen(self._changed)

    def _changed(self, fact: str) -> None:
        if fact == dra.REGISTERED:
            self._wake.set()

    def look(self) -> None:
        """Publish again: the health of a device has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Work, for ever."""
        await self._pause(RETURN)
        while True:
            try:
                await self._publish()
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                log.warning("ResourceSlices of %s: %s", self._state.node.name, error)
                await asyncio.sleep(RETRY)
                continue
            await self._pause(None)

    async def _pause(self, seconds: float | None) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return
        self._wake.clear()

    async def _publish(self) -> None:
        name, facts = self._state.node.name, self._state.facts
        query = f"{PATH}?fieldSelector=spec.nodeName%3D{name}"
        found = (await self._world.api.get(query))["items"] or []
        have = {each["metadata"]["name"]: each for each in found}
        mine = {n: each for n, each in have.items() if each["spec"]["driver"] == dra.DRIVER}
        if not facts.holds(dra.REGISTERED):
            if mine:
                await self._pause(WIPE / self._world.speed)
            if facts.holds(dra.REGISTERED):
                return self._wake.set()
        await self._write(mine, await self._wanted())

    async def _wanted(self) -> dict[str, dict[str, Any]]:
        if not self._state.facts.holds(dra.REGISTERED):
            return {}
        gates = self._state.facts.value(dra.REGISTERED) or dra.Gates()
        meta = (await self._world.api.get(f"/api/v1/nodes/{self._state.node.name}"))["metadata"]
        node = {"name": meta["name"], "uid": meta["uid"]}
        sick, gpus = self._state.devices.sick, self._state.node.gpus
        made = dra.resource_slices(node, gpus, self._world.driver, gates, sick)
        return {each["metadata"]["name"]: each for each in made}

    async def _write(self, have: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        api, generation = self._world.api, _generation(have, wanted)
        for name, body in wanted.items():
            body["spec"]["pool"]["generation"] = generation
            if name not in have:
                await api.create(PATH, body, MANAGER)
            elif _devices(have[name]) != _devices(body) or generation != _known(have[name]):
                version = have[name]["metadata"]["resourceVersion"]
                meta = {**body["metadata"], "resourceVersion": version}
                await api.replace(f"{PATH}/{name}", body | {"metadata": meta}, MANAGER)
        for name in have.keys() - wanted.keys():
            await api.delete(f"{PATH}/{name}", {})


def _generation(have: Mapping[str, Any], wanted: Mapping[str, Any]) -> int:
    """A pool with another number of slices is a new one."""
    known = max((_known(each) for each in have.values()), default=1)
    return known + 1 if have and wanted and have.keys() != wanted.keys() else known


def _known(item: Mapping[str, Any]) -> int:
    return int(item["spec"]["pool"]["generation"])


def _devices(item: Mapping[str, Any]) -> list[Any]:
    """What can change: names, and taints without the time that the API server adds."""
    found = item["spec"].get("devices") or []
    keys = ("key", "value", "effect")
    return [
        (each["name"], [[one.get(key) for key in keys] for one in each.get("taints") or []])
        for each in found
    ]
