"""Which device a container was given. The truth is in Pod status; this is an index over it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpulab.sim.device_map import Device, find
from gpulab.sim.gpus import Gpu

OFF_THE_BUS = 79  # the Xid


@dataclass(frozen=True)
class Xid:
    """An error that a GPU has reported."""

    at: dt.datetime
    uuid: str
    number: int


class DevicesUnavailable(Exception):
    """A Pod asks for more devices than its node has free."""

    def __init__(self, resource: str, asked: int, free: int) -> None:
        super().__init__(f"{asked} {resource} asked, {free} free")
        self.resource = resource
        self.asked = asked
        self.free = free


class DevicePool:
    """The devices of one node; each is held by one Pod at most."""

    def __init__(self, gpus: Sequence[Gpu]) -> None:
        self._gpus = gpus
        self._offered: dict[str, tuple[Device, ...]] = {}  # as registered last, by resource
        self._holder: dict[str, str] = {}  # device ID → Pod UID
        self._held: dict[str, Device] = {}  # device ID → the device, offered now or not
        self.sick: dict[str, int] = {}  # UUID of the GPU → the Xid that it reported
        self._claimed: dict[str, set[str]] = {}  # Pod UID → UUIDs of GPUs that it has by claims

    def offer(self, found: dict[str, tuple[Device, ...]]) -> None:
        """Take over what a device plugin lists, for the resources that it lists."""
        self._offered |= found

    def take(self, resource: str, count: int, pod_uid: str) -> tuple[Device, ...]:
        """Give a Pod `count` free devices, all or none; raises DevicesUnavailable.

        Of GPUs that are shared, it prefers the one that fewest others have.
        """
        given: list[Device] = []
        free = [one for one in self._offered.get(resource, ()) if self._is_free(one)]
        if len(free) < count:
            raise DevicesUnavailable(resource, count, len(free))
        users = Counter(device.uuid for device in self._held.values())
        for _ in range(count):
            best = min(free, key=lambda one: users[one.uuid])
            free.remove(best)
            users[best.uuid] += 1
            given.append(best)
        for device in given:
            self._hold(device, pod_uid)
        return tuple(given)

    def _is_free(self, device: Device) -> bool:
        claimed = any(device.gpu.uuid in uuids for uuids in self._claimed.values())
        return device.id not in self._holder and device.gpu.uuid not in self.sick and not claimed

    def claim(self, pod_uid: str, gpus: set[str]) -> bool:
        """Note that a Pod has these GPUs by claims; False if a device plugin gave one away."""
        if self.holders(gpus):
            return False
        self._claimed[pod_uid] = gpus
        return True

    def capacity(self, resource: str) -> int:
        """How many devices the plugin listed."""
        return len(self._offered.get(resource, ()))

    def healthy(self, resource: str) -> int:
        """How many of them can be given to Pods, now or later."""
        return sum(one.gpu.uuid not in self.sick for one in self._offered.get(resource, ()))

    def lost(self) -> frozenset[str]:
        """UUIDs of the GPUs that the driver no longer reaches."""
        return frozenset(uuid for uuid, xid in self.sick.items() if xid == OFF_THE_BUS)

    def holders(self, gpus: Iterable[str]) -> set[str]:
        """UIDs of the Pods that hold devices of these GPUs, given by UUID."""
        wanted = set(gpus)
        held = self._held.items()
        return {self._holder[one] for one, device in held if device.gpu.uuid in wanted}

    def restore(self, ids: Iterable[tuple[str, str]], pod_uid: str) -> tuple[Device, ...]:
        """Mark the devices in a Pod's status, each with its resource, as held by it."""
        offered = {device.id: device for each in self._offered.values() for device in each}
        found = (offered.get(one) or find(self._gpus, one, resource) for one, resource in ids)
        known = tuple(device for device in found if device is not None)
        for device in known:
            self._hold(device, pod_uid)
        return known

    def _hold(self, device: Device, pod_uid: str) -> None:
        self._holder[device.id] = pod_uid
        self._held[device.id] = device

    def free(self, pod_uid: str) -> None:
        self._claimed.pop(pod_uid, None)
        for one in [one for one, uid in self._holder.items() if uid == pod_uid]:
            del self._holder[one], self._held[one]
