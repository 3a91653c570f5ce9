"""What a training needs of its GPU, its driver and its shared memory, and what it says without."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpulab.sim import cuda
from gpulab.sim.device_map import whole
from gpulab.sim.gpus import Driver
from gpulab.sim.loads import total
from gpulab.sim.program import Program, Surroundings, Use
from gpulab.sim.replay import Run
from gpulab.sim.smi import IDLE, Load, measure
from tests import test_sim_workloads
from tests.test_sim_workloads import BEGAN, CATALOGUE, text

OLD = Driver(version="535.183.01", cuda="12.2")
IMAGE = "pytorch/pytorch:2.9.1-cuda{}-cudnn9-runtime"
TRAIN = ["python", "train.py"]


def with_gpus(count: int) -> Surroundings:
    here = test_sim_workloads.with_gpus(count)
    return replace(here, devices=whole(here.gpus))


def image(version: str) -> dict[str, object]:
    return {"name": "main", "image": IMAGE.format(version)}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("pytorch/pytorch:2.9.1-cuda13.0-cudnn9-runtime", (13, 0)),
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", (12, 4)),
        ("busybox:1.37.0-musl", None),
        ("pytorch/pytorch@sha256:" + "0" * 64, None),
    ],
)
def test_the_tag_tells_which_cuda_an_image_has(name: str, version: object) -> None:
    assert cuda.of_image(name) == version


@pytest.mark.parametrize(("version", "works"), [("12.8", True), ("13.0", False)])
def test_a_driver_serves_its_own_major_version_of_cuda(version: str, works: bool) -> None:
    code = ["python", "-c", "import torch; print(torch.cuda.is_available())"]
    here = replace(with_gpus(1), driver=OLD, container=image(version))
    said = text(CATALOGUE.find(code, here))
    assert said.endswith(f"{works}\n")
    assert ("found version 12020" in said) is not works
    assert ("RuntimeError: The NVIDIA driver" in text(CATALOGUE.find(TRAIN, here))) is not works


def test_a_container_that_lost_its_devices_has_no_cuda() -> None:
    here = replace(with_gpus(1), blind=True)
    assert "Unknown Error" in text(CATALOGUE.find(["nvidia-smi"], here))
    assert "Found no NVIDIA driver" in text(CATALOGUE.find(TRAIN, here))


def test_a_batch_that_is_too_large_says_how_much_there_is() -> None:
    said = text(CATALOGUE.find([*TRAIN, "--batch-size", "4096"], with_gpus(1)))
    assert "CUDA out of memory. Tried to allocate 2.50 GiB" in said
    assert "total capacity of 79.18 GiB of which 1.68 GiB is free" in said


@pytest.mark.parametrize(
    ("volume", "enough"),
    [
        (None, False),
        ({"emptyDir": {}}, False),
        ({"emptyDir": {"medium": "Memory"}}, True),
        ({"emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}}, False),
        ({"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}, True),
    ],
)
def test_workers_need_shared_memory(volume: dict[str, object] | None, enough: bool) -> None:
    mounts = [{"name": "shm", "mountPath": "/dev/shm"}] if volume else []
    pod = {"spec": {"volumes": [{"name": "shm", **volume}] if volume else []}}
    container = image("12.8") | {"volumeMounts": mounts}
    here = with_gpus(1)
    here = replace(
        here, container=container, pod={**here.pod, "spec": {**here.pod["spec"], **pod["spec"]}}
    )
    said = text(CATALOGUE.find([*TRAIN, "--workers", "8"], here))
    assert ("Bus error" in said) is not enough


def loads(*argv: str) -> list[Load]:
    found = CATALOGUE.find([*argv], with_gpus(1))
    assert isinstance(found, Program)
    return [event.load for event in Run(found.script, BEGAN) if isinstance(event, Use)]


def test_trainings_differ_in_what_they_make_of_a_gpu() -> None:
    (busy,), (slow,) = loads(*TRAIN), loads(*TRAIN, "--slow-data")
    assert busy.utilization > 80 > 20 > slow.utilization > 0
    assert loads("sleep", "1") == []


def test_a_load_is_seen_in_every_figure() -> None:
    (gpu,) = with_gpus(1).gpus
    idle, busy = measure(gpu, IDLE, BEGAN), measure(gpu, Load(90, 40_000), BEGAN)
    assert idle.utilization == 0 < busy.utilization
    assert busy.used_mib == 40_000
    assert busy.free_mib == idle.free_mib - 40_000
    assert busy.power_w > idle.power_w + 300
    assert gpu.model.power_limit_w > busy.power_w
    assert busy.temperature_c > idle.temperature_c + 20
    assert (busy.sm_clock_mhz or 0) > (idle.sm_clock_mhz or 0)
    hot = measure(gpu, Load(90, 40_000), BEGAN, hot=True)
    assert hot.temperature_c > busy.temperature_c
    assert (hot.sm_clock_mhz or 0) * 2 < (busy.sm_clock_mhz or 0)


def test_loads_of_one_gpu_add_up() -> None:
    (gpu,) = with_gpus(1).gpus
    both = total([((gpu,), Load(70, 1000)), ((gpu,), Load(60, 2000))])[gpu.uuid]
    assert (both.utilization, both.memory_mib) == (100, 3000)


def test_nvidia_smi_shows_the_load() -> None:
    here = with_gpus(1)
    (gpu,) = here.gpus
    here = replace(here, loads={gpu.uuid: Load(90, 40_000)})
    query = ["nvidia-smi", "--query-gpu=memory.used,utilization.gpu", "--format=csv,noheader"]
    used, busy = text(CATALOGUE.find(query, here)).strip().split(", ")
    assert used == "40000 MiB"
    assert busy == f"{measure(gpu, here.loads[gpu.uuid], BEGAN).utilization} %"
