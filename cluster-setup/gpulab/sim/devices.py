"""Which GPU a container was given. The truth is in Pod status; this is an index over it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpulab.sim.gpus import Gpu

OFF_THE_BUS = 79  # the Xid


@dataclass(frozen=True)
class Xid:
    """An error that a GPU has reported."""

    at: dt.datetime
    uuid: str
    number: int


class DevicesUnavailable(Exception):
    """A Pod asks for more GPUs than its node has free."""

    def __init__(self, asked: int, free: int) -> None:
        super().__init__(f"{asked} asked, {free} free")
        self.asked = asked
        self.free = free


class DevicePool:
    """The GPUs of one node; each is held by one Pod at most."""

    def __init__(self, gpus: Sequence[Gpu]) -> None:
        self._gpus = {gpu.uuid: gpu for gpu in gpus}
        self._holder: dict[str, str] = {}  # device UUID → Pod UID
        self.sick: dict[str, int] = {}  # device UUID → the Xid that it reported

    def take(self, count: int, pod_uid: str) -> tuple[Gpu, ...]:
        """Give a Pod `count` free GPUs, all or none; raises DevicesUnavailable."""
        free = [gpu for uuid, gpu in self._gpus.items() if uuid not in self._holder | self.sick]
        if len(free) < count:
            raise DevicesUnavailable(count, len(free))
        for gpu in free[:count]:
            self._holder[gpu.uuid] = pod_uid
        return tuple(free[:count])

    @property
    def healthy(self) -> int:
        """How many GPUs can be given to Pods, now or later."""
        return len(self._gpus.keys() - self.sick.keys())

    def lost(self) -> frozenset[str]:
        """UUIDs of the GPUs that the driver no longer reaches."""
        return frozenset(uuid for uuid, xid in self.sick.items() if xid == OFF_THE_BUS)

    def holders(self, uuids: Iterable[str]) -> set[str]:
        """UIDs of the Pods that hold these devices."""
        return {self._holder[uuid] for uuid in uuids if uuid in self._holder}

    def restore(self, uuids: Iterable[str], pod_uid: str) -> tuple[Gpu, ...]:
        """Mark the devices in a Pod's status as held by it, and return them."""
        known = tuple(self._gpus[uuid] for uuid in uuids if uuid in self._gpus)
        for gpu in known:
            self._holder[gpu.uuid] = pod_uid
        return known

    def free(self, pod_uid: str) -> None:
        self._holder = {uuid: uid for uuid, uid in self._holder.items() if uid != pod_uid}
