"""How GPUs are cut, which they keep when the simulator ends: a file of the lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gpulab.private import write_private
from gpulab.sim.gpus import Gpu
from gpulab.sim.mig import Layout, Slice, slice_at

Kept = dict[str, list[tuple[str, int]]]  # profile and start of each slice, by the GPU's UUID


def read(path: Path) -> Kept:
    """What was kept; nothing without a file, or with one that is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except (OSError, msgspec.MsgspecError):
        return {}


def layout(kept: Kept, gpus: Sequence[Gpu]) -> dict[str, tuple[Slice, ...]]:
    """How these GPUs were cut; what their model cannot be cut into is left out."""
    found = {}
    for gpu in gpus:
        profiles = {profile.name: profile for profile in gpu.model.mig_profiles}
        if gpu.uuid in kept:
            each = ((profiles[name], start) for name, start in kept[gpu.uuid] if name in profiles)
            found[gpu.uuid] = tuple(slice_at(gpu, profile, start) for profile, start in each)
    return found


def keep(path: Path, layouts: Sequence[Layout]) -> None:
    """Keep the layouts of all nodes."""
    every: Mapping[str, tuple[Slice, ...]] = {key: each[key] for each in layouts for key in each}
    kept = {key: [(one.profile.name, one.start) for one in each] for key, each in every.items()}
    write_private(path, msgspec.json.encode(kept))
