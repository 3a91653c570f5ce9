"""GPU models as data, the GPUs of one node, and the labels a node carries for them.

Adding a model is adding one file to `cluster-setup/gpus/`; every figure there names its source.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import yaml

from autograders.errors import InputError

BusId = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.[0-7]$")]
Positive = Annotated[int, msgspec.Meta(gt=0)]


class Idle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an idle board reports; single GPUs vary around it by a few units."""

    power_w: float
    temperature_c: int
    pstate: str


class Thermal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a board slows down and stops, in degrees or in degrees left to its limit."""

    shutdown: int
    slowdown: int
    max_operating: int
    memory: int | None = None
    """Idle temperature of the memory; absent where the board does not report it."""
    memory_max: int | None = None
    limit: int | None = None
    """The temperature that `T.Limit` counts down to; the figures above are then relative to it."""


class Clocks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Clocks in MHz; absent where no published output shows them."""

    graphics: Positive
    memory: Positive
    video: Positive | None = None


class Details(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What only `nvidia-smi -q` says of a board; a model without them prints N/A there."""

    vbios: str
    board_part: str
    gpu_part: str
    inforom: tuple[str, str, str]
    """Versions of image, OEM object and ECC object."""
    subsystem: Annotated[str, msgspec.Meta(pattern=r"^0x[0-9A-F]{8}$")]
    module_ids: tuple[int, ...] = ()
    """One for each address in bus_ids."""
    pcie_gen: Positive
    bar1_mib: Positive
    bar1_used_mib: int = 0
    row_banks: Positive
    """Banks of the row remapper."""
    min_power_w: Positive
    memory_power_w: float | None = None
    c2c_mode: str = "N/A"
    sparse_operation: str = "N/A"
    fabric: bool = False
    """Whether the board is part of an NVSwitch fabric that reports its state."""
    thermal: Thermal
    idle_clocks: Clocks
    max_clocks: Clocks


class Topology(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the GPUs of one board are wired, as `nvidia-smi topo -m` shows it."""

    link: str
    """Between any two GPUs, as in NV18: 18 bonded NVLinks."""
    cpus: tuple[str, ...]
    """CPU affinity, one for each address in bus_ids."""
    numa: tuple[str, ...]


class MigProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One GPU instance profile of `nvidia-smi mig -lgip` and `-lgipp`."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[1-7]g\.[0-9]+gb(\+me)?$")]
    id: int
    instances: Positive
    """How many of them fit into an empty GPU."""
    memory_mib: Positive
    sms: Positive
    starts: tuple[int, ...]
    """Memory slices at which an instance can begin."""
    size: Positive
    """Memory slices that it takes, of 8."""
    copy_engines: int = 0
    decoders: int = 0
    jpegs: int = 0
    ofa: int = 0
    """Engines of an instance, as `nvidia-smi mig -lgip` counts them: CE, DEC, JPEG, OFA."""

    @property
    def compute_slices(self) -> int:
        """Of the 7 that a GPU has."""
        return int(self.name[0])


class GpuModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of GPU board, as nvidia-smi and NVML describe it."""

    product: str
    """The name nvidia-smi prints."""
    memory_mib: Positive
    family: str
    """Value of the label nvidia.com/gpu.family."""
    architecture: str
    """Product Architecture in `nvidia-smi -q`."""
    compute: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+$")]
    mig_capable: bool
    power_limit_w: Positive
    idle: Idle
    pci_device_id: Annotated[str, msgspec.Meta(pattern=r"^0x[0-9A-F]{8}$")]
    bus_ids: Annotated[tuple[BusId, ...], msgspec.Meta(min_length=1)]
    """PCI addresses of one real board, in order."""
    sources: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    reserved_mib: int | None = None
    """Memory the driver keeps; absent where no published output shows it."""
    free_mib: int | None = None
    """memory.free of an idle GPU; absent where no published output shows it."""
    details: Details | None = None
    topology: Topology | None = None
    mig_profiles: tuple[MigProfile, ...] = ()
    """Profiles that MIG can cut this GPU into."""


class Driver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The NVIDIA driver of a node and the CUDA version its nvidia-smi prints."""

    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")]
    cuda: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+$")]
    source: str = ""


class Gpu(msgspec.Struct, frozen=True):
    """One GPU in one node; its uuid never changes for the same seed, node and index."""

    index: int
    uuid: str
    bus_id: str
    serial: str
    model: GpuModel


class _DriverFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    driver: Driver


_T = TypeVar("_T")


def load_models(folder: Path) -> dict[str, GpuModel]:
    """Read every model file, so that fleets can name a model by its file name."""
    return {path.stem: _model(path) for path in sorted(folder.glob("*.yaml"))}


def load_driver(path: Path) -> Driver:
    """Read the one driver version that all simulated nodes run."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", "restore the file from git") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}", "correct that line") from error
    return _convert(raw, _DriverFile, path).driver


def node_gpus(model: GpuModel, count: int, *, seed: str, node: str) -> tuple[Gpu, ...]:
    """Give a node its GPUs: same arguments, same GPUs; no two nodes share a uuid."""
    key = f"{seed}/{node}/{model.product}"
    return tuple(_gpu(model, index, f"{key}/{index}") for index in range(count))


def labels(
    model: GpuModel,
    count: int,
    driver: Driver,
    *,
    machine: str = "unknown",
    mig_strategy: str = "single",
    timestamp: int | None = None,
) -> dict[str, str]:
    """Labels gpu-feature-discovery writes for whole, unshared GPUs.

    After NVIDIA/k8s-device-plugin 1b826acc, internal/lm/{nvml,resource,strategy,vgpu}.go. A node
    without GPUs gets none.

    >>> labels(h100, 8, driver)["nvidia.com/gpu.product"]  # doctest: +SKIP
    'NVIDIA-H100-80GB-HBM3'
    """
    if count == 0:
        return {}
    values = {**_gpu_labels(model, count, machine), **_version_labels(driver)}
    if mig_strategy != "none":
        values["mig.strategy"] = mig_strategy
    if timestamp is not None:
        values["gfd.timestamp"] = str(timestamp)
    return {f"nvidia.com/{key}": value for key, value in sorted(values.items())}


def _gpu_labels(model: GpuModel, count: int, machine: str) -> dict[str, str]:
    major, minor = model.compute.split(".")
    return {
        "gpu.product": _sanitise(model.product),
        "gpu.count": str(count),
        "gpu.replicas": "1",
        "gpu.sharing-strategy": "none",
        "gpu.memory": str(model.memory_mib),
        "gpu.family": model.family,
        "gpu.compute.major": major,
        "gpu.compute.minor": minor,
        "gpu.machine": _sanitise(machine),
        "gpu.mode": "compute",  # PCI class 0x0302, a 3D controller, on every model we have
        "mig.capable": str(model.mig_capable).lower(),
        "mps.capable": "false",  # true only under the MPS sharing strategy
        "vgpu.present": "false",
    }


def _version_labels(driver: Driver) -> dict[str, str]:
    """Driver and CUDA versions, under today's keys and the deprecated ones GFD still writes."""
    major, minor, revision = [*driver.version.split("."), ""][:3]
    cuda_major, cuda_minor = driver.cuda.split(".")
    return {
        "cuda.driver-version.major": major,
        "cuda.driver-version.minor": minor,
        "cuda.driver-version.revision": revision,
        "cuda.driver-version.full": driver.version,
        "cuda.runtime-version.major": cuda_major,
        "cuda.runtime-version.minor": cuda_minor,
        "cuda.runtime-version.full": driver.cuda,
        "cuda.driver.major": major,
        "cuda.driver.minor": minor,
        "cuda.driver.rev": revision,
        "cuda.runtime.major": cuda_major,
        "cuda.runtime.minor": cuda_minor,
    }


def _sanitise(text: str) -> str:
    """Make a label value of a name, as GFD's `sanitise` does."""
    return "-".join(re.sub(r"[^A-Za-z0-9\-_. ]", "", text).split())


def _gpu(model: GpuModel, index: int, key: str) -> Gpu:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return Gpu(
        index=index,
        uuid=f"GPU-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}",
        bus_id=_bus_id(model, index),
        serial=f"165{int(digest[32:48], 16) % 10**10:010d}",  # 13 digits, the form captures show
        model=model,
    )


def _bus_id(model: GpuModel, index: int) -> str:
    """Address of the GPU; past one board, the same slots in the next PCI domain (our reading)."""
    domain, slot = divmod(index, len(model.bus_ids))
    return f"{domain:08X}{model.bus_ids[slot][8:]}"


def _model(path: Path) -> GpuModel:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        cause = " ".join(str(error).split())
        raise InputError(f"{path}: not YAML: {cause}", "correct that line") from error
    return _convert(raw, GpuModel, path)


def _convert(raw: Any, kind: type[_T], path: Path) -> _T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: {error}", "correct that key") from error
