"""Resident memory of everything but JupyterLab, on the default fleet."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path

import psutil

from tests.bench.measure import GPULAB, Row, command, surroundings

SETTLE_SECONDS = 10


def measure(folder: Path, runs: int) -> list[Row]:
    """A fresh lab each time, a few seconds after it is ready."""
    env, samples = surroundings(folder), []
    for _ in range(min(runs, 3)):
        command([GPULAB, "up"], env)
        try:
            time.sleep(SETTLE_SECONDS)
            status = json.loads(command([GPULAB, "status", "--json"], env))
            pids = {component["pid"] for component in status["components"]}
            pids.add(status["supervisor"])
            samples.append(sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20)
        finally:
            command([GPULAB, "down", "--delete"], env)
    row = Row("resident memory", statistics.median(samples), max(samples), 650, "MiB")
    return [row]
