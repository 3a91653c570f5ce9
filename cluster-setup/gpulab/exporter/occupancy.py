"""Which container holds which GPU, and the load that it makes there: from Pods as the API has them.

The load is what the container's program (cluster-setup/workloads) has begun by that moment: the
same script tells it here and to nvidia-smi in the simulated kubelet.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gpulab.exporter.series import Holder
from gpulab.sim.device_map import Device, is_device
from gpulab.sim.facts import Facts
from gpulab.sim.gpus import Driver
from gpulab.sim.program import Program, Surroundings, Use
from gpulab.sim.replay import Replay
from gpulab.sim.smi import IDLE, Load
from gpulab.sim.times import parse
from gpulab.sim.workloads import Catalogue

Object = dict[str, Any]
ENDED = ("Succeeded", "Failed")


class Running(msgspec.Struct, frozen=True):
    """A container that holds GPUs, and when its process began, if it runs."""

    holder: Holder
    ids: tuple[tuple[str, str], ...]
    """Of its devices, each with the resource that it was given as."""
    run: str
    """The containerID, which is another one after each restart."""
    started: str | None


def holding(pod: Object) -> Iterator[Running]:
    """The containers of a Pod that hold GPUs; none once it has ended."""
    status, meta = pod.get("status") or {}, pod["metadata"]
    if status.get("phase") in ENDED:
        return
    for kind in ("initContainerStatuses", "containerStatuses"):
        for entry in status.get(kind) or ():
            ids = tuple(
                (device["resourceID"], given["name"])
                for given in entry.get("allocatedResourcesStatus") or ()
                if is_device(given["name"])
                for device in given.get("resources") or ()
            )
            if ids:
                holder = (meta["namespace"], meta["name"], entry["name"])
                state = (entry.get("state") or {}).get("running") or {}
                run, started = entry.get("containerID", ""), state.get("startedAt")
                yield Running(holder, ids, run, started)


class Loads:
    """The loads of all containers; each script is gone through once."""

    def __init__(self, workloads: Catalogue, driver: Driver) -> None:
        self._workloads, self.driver = workloads, driver
        self._known: dict[str, tuple[Replay | None, Load]] = {}  # by containerID

    def of(
        self, pod: Object, one: Running, devices: Sequence[Device], driver: Driver | None
    ) -> Load:
        """What a container makes of each of its GPUs now."""
        if one.started is None:
            return IDLE
        if one.run not in self._known:
            here = self._surroundings(pod, one, devices, driver)
            found = self._workloads.find(self._workloads.main(here), here)
            replay = None
            if isinstance(found, Program) and found.modelled:
                replay = Replay(found.script, parse(one.started), Facts())
            self._known[one.run] = (replay, IDLE)
        replay, load = self._known[one.run]
        for event in replay.until(dt.datetime.now(dt.UTC)) if replay else ():
            load = event.load if isinstance(event, Use) else load
        self._known[one.run] = (replay, load)
        return load

    def forget(self, alive: Iterable[str]) -> None:
        """Keep these runs only."""
        kept = set(alive)
        self._known = {run: each for run, each in self._known.items() if run in kept}

    def _surroundings(
        self, pod: Object, one: Running, devices: Sequence[Device], driver: Driver | None
    ) -> Surroundings:
        spec = pod["spec"]
        specs = [*(spec.get("initContainers") or ()), *spec["containers"]]
        return Surroundings(
            pod,
            next(each for each in specs if each["name"] == one.holder[2]),
            spec["nodeName"],
            (pod.get("status") or {}).get("podIP", ""),
            driver or self.driver,
            tuple({device.gpu.uuid: device.gpu for device in devices}.values()),
            devices=tuple(devices),
        )
