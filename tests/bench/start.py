"""`gpulab up` and resume, beside a bare kwokctl with the same programs."""

from __future__ import annotations

from pathlib import Path

from tests.bench.kwokctl import Kwokctl
from tests.bench.measure import GPULAB, Row, command, interleave, surroundings, versus


def measure(folder: Path, runs: int) -> list[Row]:
    """Create and resume.

    A lab is up when a Pod runs, every GPU is allocatable and a new lab's ClusterPolicy is ready.
    """
    ours, theirs = _Ours(folder), Kwokctl(folder)
    created = interleave(
        {"ours": ours.up, "theirs": theirs.create},
        runs,
        {"ours": ours.delete, "theirs": theirs.delete},
    )
    for step in (ours.up, ours.down, theirs.create, theirs.stop):
        step()
    resumed = interleave(
        {"ours": ours.up, "theirs": theirs.start}, runs, {"ours": ours.down, "theirs": theirs.stop}
    )
    ours.delete()
    theirs.delete()
    return [
        versus("gpulab up, new lab", created["ours"], created["theirs"], 6),
        versus("gpulab up, resume", resumed["ours"], resumed["theirs"], 2),
    ]


class _Ours:
    def __init__(self, folder: Path) -> None:
        self._env = surroundings(folder)

    def up(self) -> None:
        command([GPULAB, "up"], self._env)

    def down(self) -> None:
        command([GPULAB, "down"], self._env)

    def delete(self) -> None:
        command([GPULAB, "down", "--delete"], self._env)
