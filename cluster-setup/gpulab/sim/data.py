"""The simulation's data files, read and checked before a process depends on them."""

from __future__ import annotations

from gpulab.paths import DATA
from gpulab.sim.gpus import load_driver, load_models
from gpulab.sim.images import Images
from gpulab.sim.workloads import Catalogue


def check_data() -> None:
    """Raise InputError for the first file that is malformed: the simulator would not start."""
    load_models(DATA / "gpus")
    load_driver(DATA / "nvidia.toml")
    Images.load(DATA / "images")
    Catalogue.load(DATA / "workloads")
