"""From a fault to what kubectl shows of it, and from its end until nothing does, at speed 20."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from tests import faulty
from tests.bench.measure import Row
from tests.conftest import Lab, make_lab

LIMIT = 2.0
LOOK = 0.05
DEADLINE = 60.0


def measure(folder: Path, runs: int) -> list[Row]:
    """Seconds from the end of `gpulab break`, and of `gpulab heal`; every fault in turn."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in faulty.MET}
    for lab in make_lab(folder, "faults", "--speed", "20"):
        for _ in range(min(runs, 3)):
            for name, found in times.items():
                found.append(_once(lab, name))
    rows = []
    for name, found in times.items():
        for what, each in zip(("seen", "healed"), zip(*found, strict=True), strict=True):
            rows.append(Row(f"{name}: {what}", statistics.median(each), max(each), LIMIT, "s"))
    return rows


def _once(lab: Lab, name: str) -> tuple[float, float]:
    met = faulty.MET[name]
    faulty.begin(lab, name)
    try:
        faulty.inject(lab, name)
        seen = _until(lab, met.seen)
        faulty.heal(lab, name)
        return seen, _until(lab, met.healed)
    finally:
        lab.gpulab("heal")
        faulty.finish(lab)


def _until(lab: Lab, holds: faulty.Holds) -> float:
    began = time.monotonic()
    while not holds(lab):
        if time.monotonic() - began > DEADLINE:
            raise RuntimeError(f"not so after {DEADLINE:.0f} s: {holds}")
        time.sleep(LOOK)
    return time.monotonic() - began
