"""MIG: how a GPU is cut into slices, and where they lie.

A slice is one GPU instance with one compute instance over all of it, which is all that NVIDIA's
MIG manager makes.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from gpulab.sim.gpus import Gpu, GpuModel, MigProfile

MEMORY_SLICES = 8


class Slice(msgspec.Struct, frozen=True):
    """One MIG device."""

    uuid: str
    profile: MigProfile
    start: int
    """The first memory slice that it takes."""
    ci: int = 0
    """ID of its compute instance."""

    @property
    def gi(self) -> int:
        """ID of its GPU instance: halves are 1 and 2, quarters 3 to 6, eighths 7 to 14.

        After published listings of `nvidia-smi mig -lgi`, tests/golden/nvidia-smi/SOURCES.md.
        """
        return MEMORY_SLICES // self.profile.size - 1 + self.start // self.profile.size

    @property
    def taken(self) -> frozenset[int]:
        """Memory slices that no other slice of the GPU can have."""
        return frozenset(range(self.start, self.start + self.profile.size))


Layout = Mapping[str, tuple[Slice, ...]]
"""The slices of each GPU in MIG mode, by the GPU's UUID; a GPU that is not in it is whole."""


def cut(gpu: Gpu, wanted: Mapping[str, int]) -> tuple[Slice, ...]:
    """Cut a GPU into so many slices of each profile, by GPU instance ID.

    ValueError if they do not all fit, KeyError for a profile that the model does not have.
    """
    places = _arrange(gpu.model, wanted)
    if places is None:
        raise ValueError("all orderings failed")
    found = [slice_at(gpu, profile, start) for profile, start in places]
    return tuple(sorted(found, key=lambda one: one.gi))


def every_slice(gpu: Gpu) -> Iterator[Slice]:
    """All that the GPU could ever be cut into, one profile at one place at a time."""
    for profile in gpu.model.mig_profiles:
        for start in profile.starts:
            yield slice_at(gpu, profile, start)


def slice_at(gpu: Gpu, profile: MigProfile, start: int) -> Slice:
    """The slice at that place; its UUID is the same whenever it is made."""
    digest = hashlib.sha256(f"{gpu.uuid}/{profile.name}/{start}".encode()).hexdigest()
    parts = digest[:8], digest[8:12], f"5{digest[13:16]}", digest[16:20], digest[20:32]
    return Slice(f"MIG-{'-'.join(parts)}", profile, start)


Place = tuple[MigProfile, int]


def _arrange(model: GpuModel, wanted: Mapping[str, int]) -> list[Place] | None:
    """Find a place for each, largest first, else in another order, as mig-parted tries it."""
    known = {profile.name: profile for profile in model.mig_profiles}
    every = [known[name] for name, count in wanted.items() for _ in range(count)]
    if sum(profile.size for profile in every) > MEMORY_SLICES:
        return None
    every.sort(key=lambda one: (-int(one.name[0]), one.name))
    tried = set()
    for order in itertools.permutations(every):
        names = tuple(one.name for one in order)
        if names not in tried and (found := _in_order(model, order)) is not None:
            return found
        tried.add(names)
    return None


def _in_order(model: GpuModel, order: Sequence[MigProfile]) -> list[Place] | None:
    found: list[Place] = []
    for profile in order:
        made = sum(one.name == profile.name for one, _ in found)
        free = [start for start in profile.starts if _is_free(profile, start, found)]
        if not free or made == profile.instances:
            return None
        best = max(free, key=lambda start: _left(model, [*found, (profile, start)]))
        found.append((profile, best))
    return found


def _is_free(profile: MigProfile, start: int, taken: Iterable[Place]) -> bool:
    return all(start + profile.size <= other or other + one.size <= start for one, other in taken)


def _left(model: GpuModel, taken: Sequence[Place]) -> int:
    """How much could still be placed. Our reading: it gives the placements of published listings.

    For example 3g.40gb at 4 and then 2g.20gb at 0; 1g.5gb at 6, 2g.10gb at 4 and 4g.20gb at 0.
    """
    return sum(
        _is_free(profile, start, taken)
        for profile in model.mig_profiles
        for start in profile.starts
    )
