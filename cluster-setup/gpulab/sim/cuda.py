"""Whether a driver serves the CUDA of an image: one of the same major version, or an older one.

NVIDIA, CUDA Compatibility: minor version compatibility. Compatibility packages that some images
bring (`cuda-compat`) are not modelled.
"""

from __future__ import annotations

import re

from gpulab.sim.gpus import Driver

NAMED = re.compile(r"cuda(\d+)\.(\d+)")  # 2.9.1-cuda13.0-cudnn9-runtime
OWN = re.compile(r"(\d+)\.(\d+)\.\d+-")  # 12.4.1-base-ubuntu22.04, of nvidia/cuda


def of_image(image: str) -> tuple[int, int] | None:
    """The CUDA version that an image's tag names; None where it names none.

    >>> of_image("pytorch/pytorch:2.9.1-cuda13.0-cudnn9-runtime")
    (13, 0)
    """
    name, _, tag = image.partition("@")[0].rpartition(":")
    found = NAMED.search(tag) or (OWN.match(tag) if name.endswith("nvidia/cuda") else None)
    return (int(found[1]), int(found[2])) if found else None


def is_too_old(driver: Driver, image: str) -> bool:
    wanted = of_image(image)
    return wanted is not None and int(driver.cuda.partition(".")[0]) < wanted[0]


def number(driver: Driver) -> int:
    """The version as CUDA's API has it.

    >>> number(Driver(version="535.183.01", cuda="12.2"))
    12020
    """
    major, _, minor = driver.cuda.partition(".")
    return int(major) * 1000 + int(minor) * 10
