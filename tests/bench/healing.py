"""From the SIGKILL of one component until `gpulab status` says ready, with nobody's help."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests.bench.measure import GPULAB, Row, command, surroundings
from tests.kills import PROCESSES, kill, open_lab, until_healed

DEADLINE = 60.0
CALM = 6.0  # seconds between two kills, so that none counts as one that dies again


def measure(folder: Path, runs: int) -> list[Row]:
    env, times = surroundings(folder), {name: list[float]() for name in PROCESSES}
    command([GPULAB, "up"], env)
    try:
        paths, record = open_lab(folder / "home" / "labs" / "lab")
        for _ in range(min(runs, 3)):
            for name in PROCESSES:
                time.sleep(CALM)
                began = time.monotonic()
                kill(paths, name)
                until_healed(paths, record, DEADLINE)
                times[name].append(time.monotonic() - began)
    finally:
        command([GPULAB, "down", "--delete"], env)
    return [
        Row(f"{name} killed, until ready", statistics.median(each), max(each), 5.0, "s")
        for name, each in times.items()
    ]
