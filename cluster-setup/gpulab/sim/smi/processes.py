"""Processes that hold memory of a GPU. Nothing in the lab passes any yet: containers show none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from gpulab.sim.gpus import Gpu


class Process(msgspec.Struct, frozen=True):
    """A process with a compute context; `memory` is MiB by the GPU's UUID."""

    pid: int
    name: str
    memory: Mapping[str, int]


def on(gpu: Gpu, processes: Sequence[Process]) -> list[tuple[Process, int]]:
    """The processes on a GPU, each with its MiB there."""
    return [(each, each.memory[gpu.uuid]) for each in processes if gpu.uuid in each.memory]
