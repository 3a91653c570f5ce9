"""The simulation's data files, read and checked before a process depends on them."""

from __future__ import annotations

from autograders.errors import InputError
from gpulab.fleets import load_fleet
from gpulab.paths import DATA
from gpulab.sim.gpus import load_driver, load_models
from gpulab.sim.images import Images
from gpulab.sim.workloads import Catalogue


def check_data(fleet: str) -> None:
    """Raise InputError for the first file that is malformed: the simulator would not start."""
    models = load_models(DATA / "gpus")
    for group in load_fleet(fleet).nodes:
        if group.gpu is not None and group.gpu not in models:
            raise InputError(
                f"fleet {fleet}: node group {group.name} has an unknown gpu {group.gpu!r}",
                f"choose one of {', '.join(models)}",
            )
    load_driver(DATA / "nvidia.toml")
    Images.load(DATA / "images")
    Catalogue.load(DATA / "workloads")
