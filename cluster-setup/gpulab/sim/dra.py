"""What NVIDIA's DRA driver says of a node's GPUs: ResourceSlices, and names of devices. Pure.

After kubernetes-sigs/dra-driver-nvidia-gpu 95932046, cmd/gpu-kubelet-plugin/{deviceinfo,mig,
partitions,driver,device_health}.go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpulab.sim.devices import OFF_THE_BUS
from gpulab.sim.gpus import Driver, Gpu, MigProfile
from gpulab.sim.mig import MEMORY_SLICES, Slice, every_slice

Object = dict[str, Any]
DRIVER = "gpu.nvidia.com"
REGISTERED = "dra-driver"  # the fact that the driver of the node is registered
EXCLUSIVE = "feature gate DynamicMIG is currently mutually exclusive with NVMLDeviceHealthCheck"


@dataclass(frozen=True)
class Gates:
    """Those of the driver's feature gates that are simulated."""

    dynamic_mig: bool = False
    """Whether GPUs are also offered in parts, which are made when they are claimed."""
    health: bool = False
    """Whether a GPU that has reported an Xid gets a taint."""

    @classmethod
    def of(cls, text: str) -> Gates:
        """From a variable like `DynamicMIG=true,MPSSupport=false`."""
        on = {each.strip() for each in text.split(",")}
        return cls("DynamicMIG=true" in on, "NVMLDeviceHealthCheck=true" in on)


def resource_slices(
    node: Mapping[str, str],
    gpus: Sequence[Gpu],
    driver: Driver,
    gates: Gates,
    sick: Mapping[str, int],
) -> list[Object]:
    """The node's ResourceSlices; `node` has its name and uid, `sick` the Xid by GPU UUID."""
    if not gpus:
        return []
    parts: list[Object] = []
    if gates.dynamic_mig:
        if counters := [_counter_set(gpu) for gpu in gpus if _is_partable(gpu)]:
            parts.append({"sharedCounters": counters})
        parts += [{"devices": list(_partable(gpu, driver))} for gpu in gpus]
    else:
        taints = sick if gates.health else {}
        parts = [{"devices": [_whole(gpu, driver, taints.get(gpu.uuid)) for gpu in gpus]}]
    return [_slice(node, part, number, len(parts)) for number, part in enumerate(parts)]


def _slice(node: Mapping[str, str], part: Object, number: int, count: int) -> Object:
    digest = hashlib.sha256(f"{node['uid']}/{number}".encode()).hexdigest()[:5]
    pool = {"name": node["name"], "generation": 1, "resourceSliceCount": count}
    owner = {"apiVersion": "v1", "kind": "Node", "controller": True, **node}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {
            "name": f"{node['name']}-{DRIVER}-{digest}",
            "generateName": f"{node['name']}-{DRIVER}-",
            "ownerReferences": [owner],
        },
        "spec": {"driver": DRIVER, "nodeName": node["name"], "pool": pool, **part},
    }


def find(gpus: Sequence[Gpu], name: str) -> tuple[Gpu, Slice | None] | None:
    """The GPU, or the part of one, that a device's name stands for."""
    for gpu in gpus:
        if name == device_name(gpu):
            return gpu, None
        if name.startswith(f"{device_name(gpu)}-mig-"):
            for one in every_slice(gpu):
                if name == device_name(gpu, one):
                    return gpu, one
    return None


def device_name(gpu: Gpu, one: Slice | None = None) -> str:
    """Such as `gpu-0` or `gpu-0-mig-1g10gb-19-3`."""
    if one is None:
        return f"gpu-{gpu.index}"
    profile = one.profile.name.replace(".", "").replace("+", "-")
    return f"gpu-{gpu.index}-mig-{profile}-{one.profile.id}-{one.start}"


def _whole(gpu: Gpu, driver: Driver, xid: int | None) -> Object:
    found = {
        "name": device_name(gpu),
        "attributes": _attributes(gpu, driver),
        "capacity": {"memory": {"value": f"{gpu.model.memory_mib}Mi"}},
    }
    if xid == OFF_THE_BUS:
        taint = {"key": f"{DRIVER}/gpu-lost", "effect": "NoSchedule"}
    else:
        taint = {"key": f"{DRIVER}/xid", "value": str(xid), "effect": "NoSchedule"}
    return found if xid is None else found | {"taints": [taint]}


def _attributes(gpu: Gpu, driver: Driver) -> Object:
    found = {"type": {"string": "gpu"}, "uuid": {"string": gpu.uuid}, **_common(gpu, driver)}
    bus = f"{gpu.bus_id[4:]}".lower()
    return found | {"resource.kubernetes.io/pciBusID": {"string": bus}}


def _common(gpu: Gpu, driver: Driver) -> Object:
    model = gpu.model
    return {
        "productName": {"string": model.product},
        "brand": {"string": "Nvidia"},
        "architecture": {"string": model.architecture},
        "cudaComputeCapability": {"version": _version(model.compute)},
        "driverVersion": {"version": _version(driver.version)},
        "cudaDriverVersion": {"version": _version(driver.cuda)},
    }


def _version(text: str) -> str:
    """Three numbers without leading zeros, as in 595.91.7 of 595.91.07."""
    return ".".join(str(int(part)) for part in [*text.split("."), "0", "0"][:3])


# -- parts of GPUs (KEP-4815)


def _is_partable(gpu: Gpu) -> bool:
    """Whether what all of it has is known: by a profile that takes everything."""
    return any(profile.size == MEMORY_SLICES for profile in gpu.model.mig_profiles)


def _partable(gpu: Gpu, driver: Driver) -> Iterator[Object]:
    whole = _whole(gpu, driver, None)
    if not _is_partable(gpu):
        yield whole
        return
    every = _capacity(gpu.model.mig_profiles)
    yield whole | {
        "capacity": {name: {"value": value} for name, value in every.items()},
        "consumesCounters": [_consumed(gpu, every, range(MEMORY_SLICES))],
    }
    for one in every_slice(gpu):
        has = _capacity([one.profile])
        yield {
            "name": device_name(gpu, one),
            "attributes": {
                "type": {"string": "mig"},
                "parentUUID": {"string": gpu.uuid},
                "profile": {"string": one.profile.name},
                **_common(gpu, driver),
            },
            "capacity": {name: {"value": value} for name, value in has.items()},
            "consumesCounters": [_consumed(gpu, has, sorted(one.taken))],
        }


def _capacity(profiles: Sequence[MigProfile]) -> dict[str, str]:
    """What one of these profiles has at most."""
    most = {
        "multiprocessors": max(one.sms for one in profiles),
        "copyEngines": max(one.copy_engines for one in profiles),
        "decoders": max(one.decoders for one in profiles),
        "encoders": 0,
        "jpegEngines": max(one.jpegs for one in profiles),
        "ofaEngines": max(one.ofa for one in profiles),
    }
    memory = max(one.memory_mib for one in profiles)
    return {name: str(value) for name, value in most.items()} | {"memory": f"{memory}Mi"}


def _counter_set(gpu: Gpu) -> Object:
    found = _consumed(gpu, _capacity(gpu.model.mig_profiles), range(MEMORY_SLICES))
    return {"name": found["counterSet"], "counters": found["counters"]}


def _consumed(gpu: Gpu, capacity: Mapping[str, str], slices: Sequence[int]) -> Object:
    counters = {_dashed(name): {"value": value} for name, value in capacity.items()}
    counters |= {f"memory-slice-{number}": {"value": "1"} for number in slices}
    return {"counterSet": f"{device_name(gpu)}-counter-set", "counters": counters}


def _dashed(name: str) -> str:
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name)
