"""What workloads say of GPUs, as data: what they need of them, and the load that they make."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from autograders.cluster.quantities import parse
from gpulab.sim import cuda
from gpulab.sim.device_map import Device
from gpulab.sim.program import Exit, Print, Step, Surroundings, Use
from gpulab.sim.smi.reading import Load

if TYPE_CHECKING:
    from gpulab.sim.workloads import Action

CHUNK_GIB = 2.5  # PyTorch asks for one such piece after another; our reading
SHM, SHM_MIB = "/dev/shm", 64  # containerd: defaultShmSize in internal/cri/server/podsandbox


class UseGpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A load on each GPU of the container from now on; on one that is too small it says so."""

    utilization: float
    memory_mib: int
    says: str
    """It exits with 1 after it; $total, $free, $used and $tried are GiB."""
    memory_utilization: float | None = None


class NeedCuda(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What it says, and exits with 1, without a GPU, or under a driver that is too old."""

    none: str
    old: str
    """$found is the driver's CUDA version as a number."""


class NeedShm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Room that it needs in /dev/shm; what it says, and exits with 1, without it."""

    mib: float
    says: str


def of(action: Action, here: Surroundings) -> Iterator[Step] | None:
    """The steps of an action about GPUs; None for any other."""
    if action.warn_old_driver is not None:
        return warn_old(action.warn_old_driver, here)
    if action.need_cuda is not None:
        return need_cuda(action.need_cuda, here)
    if action.need_shm is not None:
        return need_shm(action.need_shm, here)
    return use(action.use_gpu, here) if action.use_gpu is not None else None


def available(here: Surroundings) -> bool:
    """What torch.cuda.is_available() says."""
    old = cuda.is_too_old(here.driver, here.container["image"])
    return bool(here.gpus) and not here.blind and not old


def warn_old(text: str, here: Surroundings) -> Iterator[Step]:
    """Print to stderr that the driver is too old, if it is; nothing is wrong without a GPU."""
    if here.gpus and cuda.is_too_old(here.driver, here.container["image"]):
        yield _say(text, found=cuda.number(here.driver))


def need_cuda(need: NeedCuda, here: Surroundings) -> Iterator[Step]:
    if here.gpus and cuda.is_too_old(here.driver, here.container["image"]):
        yield from _give_up(need.old, found=cuda.number(here.driver))
    elif not available(here):
        yield from _give_up(need.none)


def need_shm(need: NeedShm, here: Surroundings) -> Iterator[Step]:
    if shm_mib(here) < need.mib:
        yield from _give_up(need.says)


def use(wanted: UseGpu, here: Surroundings) -> Iterator[Step]:
    """The load; or that a GPU's memory does not suffice."""
    room = min(map(_room, here.devices), default=0)
    if wanted.memory_mib <= room:
        yield Use(Load(wanted.utilization, wanted.memory_mib, wanted.memory_utilization))
        return
    total = room / 1024
    used = total // CHUNK_GIB * CHUNK_GIB
    amounts = {"total": total, "used": used, "free": total - used, "tried": CHUNK_GIB}
    yield from _give_up(wanted.says, **{key: f"{gib:.2f}" for key, gib in amounts.items()})


def _room(device: Device) -> int:
    """MiB that a process can have on it."""
    if device.slice is not None:
        return device.slice.profile.memory_mib
    return device.gpu.model.free_mib or device.gpu.model.memory_mib


def shm_mib(here: Surroundings) -> float:
    """The size of /dev/shm: 64 MiB, or that of the memory that is mounted there."""
    mounts = here.container.get("volumeMounts") or []
    name = next((each["name"] for each in mounts if each["mountPath"].rstrip("/") == SHM), None)
    volumes = here.pod["spec"].get("volumes") or []
    volume = next((each.get("emptyDir") for each in volumes if each["name"] == name), None)
    if volume is None or volume.get("medium") != "Memory":
        return SHM_MIB
    limits = (here.container.get("resources") or {}).get("limits") or {}
    bounds = [volume.get("sizeLimit"), limits.get("memory")]
    return min((float(parse(each)) / 2**20 for each in bounds if each), default=float("inf"))


def _give_up(text: str, **values: object) -> Iterator[Step]:
    yield _say(text, **values)
    yield Exit(1)


def _say(text: str, **values: object) -> Step:
    return Print(string.Template(text).safe_substitute(values) + "\n", "stderr")
