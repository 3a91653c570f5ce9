"""What a device plugin offers: devices by resource name, from GPUs, their MIG slices and replicas.

After NVIDIA/k8s-device-plugin 1b826acc, internal/rm/device_map.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gpulab.sim.gpus import Gpu
from gpulab.sim.mig import Layout, Slice, every_slice
from gpulab.sim.nodes import GPU
from gpulab.sim.sharing import Config, ConfigError, Strategy

MIG = "nvidia.com/mig-"
SHARED = "::"  # between a device's ID and the number of its replica


def is_device(resource: str) -> bool:
    """Whether a device plugin of NVIDIA's may offer a resource of this name."""
    return resource.startswith("nvidia.com/")


@dataclass(frozen=True)
class Device:
    """One thing that a container can be given."""

    id: str
    """As the kubelet knows it: `GPU-…`, `MIG-…`, with `::2` behind it if it is a replica."""
    resource: str
    """The resource that it is offered as, or the claim in the Pod's status; empty for a claim
    that stands for an extended resource."""
    gpu: Gpu
    """The board that it is, or is a part of."""
    slice: Slice | None = None
    """Its part of a GPU in MIG mode; None for a whole GPU."""
    sharing: Strategy = "none"
    alone: bool = False
    """Whether a container that is given it may ask for no second one."""
    claimed: bool = False
    """Whether it comes from a ResourceClaim, and from no device plugin."""

    @property
    def uuid(self) -> str:
        """Without the number of the replica."""
        return self.id.partition(SHARED)[0]


DeviceMap = dict[str, tuple[Device, ...]]


def whole(gpus: Sequence[Gpu]) -> tuple[Device, ...]:
    """GPUs as they are offered that are neither cut nor shared."""
    return tuple(Device(gpu.uuid, GPU, gpu) for gpu in gpus)


def device_map(gpus: Sequence[Gpu], layout: Layout, strategy: str, config: Config) -> DeviceMap:
    """Devices by resource; ConfigError where the plugin refuses to start."""
    if strategy == "single":
        _assert_uniform(gpus, layout)
    found: dict[str, list[Device]] = {}
    for device in _devices(gpus, layout, strategy):
        found.setdefault(device.resource, []).append(device)
    if config.strategy == "mps" and any(one.slice for each in found.values() for one in each):
        raise ConfigError("sharing using MPS is not supported for MIG devices")
    shared = (_replicate(each, config) for each in found.values())
    return {each[0].resource: each for each in shared}


def _devices(gpus: Sequence[Gpu], layout: Layout, strategy: str) -> Iterator[Device]:
    for gpu in gpus:
        if strategy == "none" or gpu.uuid not in layout:
            yield Device(gpu.uuid, GPU, gpu)
            continue
        for one in layout[gpu.uuid]:
            yield Device(one.uuid, resource_of(one, strategy), gpu, one)


def resource_of(one: Slice, strategy: str) -> str:
    """The resource that a slice is offered as.

    With strategy mixed, `nvidia.com/mig-1g.10gb`, or `nvidia.com/mig-1g.10gb.me`.
    """
    return f"{MIG}{one.profile.name.replace('+', '.')}" if strategy == "mixed" else GPU


def _assert_uniform(gpus: Sequence[Gpu], layout: Layout) -> None:
    """Strategy single wants every GPU cut, all in the same way."""
    cut = [gpu for gpu in gpus if gpu.uuid in layout]
    for gpu in cut:
        if not layout[gpu.uuid]:
            cause = "at least one device with migEnabled=true was not configured correctly"
            raise _invalid(f"{cause}: device {gpu.index} has no MIG devices configured")
    if len({one.profile for gpu in cut for one in layout[gpu.uuid]}) > 1:
        raise _invalid("more than one MIG device type present on node")
    if cut and len(cut) < len(gpus):
        raise ConfigError(
            "all devices on the node must be configured with the same migEnabled value"
        )


def _invalid(cause: str) -> ConfigError:
    return ConfigError(f"invalid MIG configuration: {cause}")


def map_failure(error: ConfigError) -> ConfigError:
    """Wrap what is wrong with the devices as the plugin does."""
    steps = (
        "error getting plugins: unable to create plugins: "
        "failed to construct resource managers: error building device map: "
        "error building device map from config.resources"
    )
    return ConfigError(f"{steps}: {error}")


def _replicate(devices: Sequence[Device], config: Config) -> tuple[Device, ...]:
    shared = config.resources.get(devices[0].resource)
    if shared is None:
        return tuple(devices)
    return tuple(
        replace(
            device,
            id=f"{device.id}{SHARED}{number}",
            resource=shared.rename or device.resource,
            sharing=config.strategy,
            alone=config.alone,
        )
        for device in devices
        for number in range(shared.replicas)
    )


def find(gpus: Sequence[Gpu], device_id: str, resource: str) -> Device | None:
    """The device that an ID stands for, whether a plugin offers it or not."""
    uuid = device_id.partition(SHARED)[0]
    sharing: Strategy = "time-slicing" if SHARED in device_id else "none"
    for gpu in gpus:
        if gpu.uuid == uuid:
            return Device(device_id, resource, gpu, sharing=sharing)
        if uuid.startswith("MIG-"):
            for one in every_slice(gpu):
                if one.uuid == uuid:
                    return Device(device_id, resource, gpu, one, sharing)
    return None
