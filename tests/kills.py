"""Killing a component of a lab, and how long until the lab is healed."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from gpulab import health, supervision
from gpulab.lab import Record, read_record
from gpulab.paths import LabPaths
from gpulab.programs import is_alive
from gpulab.providers import components

PROCESSES = (*components.NAMES, components.SIMULATOR)
LOOK = 0.05  # seconds between two looks
GONE = 10.0  # seconds that a killed process may take to go


def open_lab(root: Path) -> tuple[LabPaths, Record]:
    """A lab by its folder, without the environment that names it."""
    paths = LabPaths(root.name, root)
    record = read_record(paths)
    assert record is not None
    return paths, record


def kill(paths: LabPaths, name: str) -> int | None:
    """SIGKILL, until it is gone; its pid, or None if it did not run at that moment."""
    if name == supervision.NAME:
        found = supervision.process(paths)
        pid = found.pid if found else None
    else:
        pid = components.pids(paths).get(name)
    if pid is not None and psutil.pid_exists(pid):
        process = psutil.Process(pid)
        process.kill()
        deadline = time.monotonic() + GONE
        while is_alive(process):
            assert time.monotonic() < deadline, f"{name} outlives SIGKILL"
            time.sleep(0.01)
    return pid


def until_healed(paths: LabPaths, record: Record, within: float) -> float:
    """Seconds until `gpulab status` says ready; fails after `within`."""
    began = time.monotonic()
    while not (found := health.status(paths, record)).ready:
        assert time.monotonic() - began < within, f"after {within:.0f} s: {found.missing}"
        time.sleep(LOOK)
    return time.monotonic() - began
