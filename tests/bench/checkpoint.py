"""Saving and going back: wall clock of the commands, until the lab is ready again."""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.bench.measure import GPULAB, Row, command, interleave, surroundings


def measure(folder: Path, runs: int) -> list[Row]:
    """A lab with its operator, as it is after `gpulab up`."""
    env = surroundings(folder)

    def gpulab(*arguments: str) -> None:
        command([GPULAB, *arguments], env)

    gpulab("up")
    try:
        gpulab("checkpoint", "save", "early")
        times = interleave(
            {
                "save": lambda: gpulab("checkpoint", "save", "late"),
                "restore": lambda: gpulab("checkpoint", "restore", "early", "--yes"),
            },
            runs,
            {"save": lambda: gpulab("checkpoint", "delete", "late"), "restore": lambda: None},
        )
    finally:
        gpulab("down", "--delete")
    limits = {"save": 1.0, "restore": 6.0}
    return [
        Row(f"gpulab checkpoint {name}", statistics.median(each), max(each), limits[name], "s")
        for name, each in times.items()
    ]
