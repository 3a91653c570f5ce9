"""The load on GPUs: what each container makes, and the sum of those that share one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gpulab.sim.gpus import Gpu
from gpulab.sim.smi.reading import Load


def total(each: Iterable[tuple[Sequence[Gpu], Load]]) -> dict[str, Load]:
    """Load of each GPU by UUID; several on one add up, its time to 100 % at most."""
    found: dict[str, Load] = {}
    for gpus, load in each:
        for gpu in gpus:
            known = found.get(gpu.uuid)
            found[gpu.uuid] = load if known is None else add(known, load)
    return found


def add(one: Load, other: Load) -> Load:
    return Load(
        utilization=min(100.0, one.utilization + other.utilization),
        memory_mib=one.memory_mib + other.memory_mib,
        memory_utilization=min(100.0, copying(one) + copying(other)),
    )


def copying(load: Load) -> float:
    """Percent of the time in which memory is read or written."""
    given = load.memory_utilization
    return load.utilization / 2 if given is None else given
