"""From nodes Ready to a ready ClusterPolicy and every GPU allocatable, while `gpulab up` runs."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from autograders.connect import Api, ApiAbsent, ApiProblem, Unreachable, connect
from gpulab.ready import POLICIES, expected_gpus, nodes_missing
from tests.bench.measure import GPULAB, Row, command, surroundings

DEADLINE = 120.0
LOOK = 0.02  # seconds between two looks


def measure(folder: Path, runs: int) -> list[Row]:
    env = surroundings(folder)
    times = []
    for _ in range(runs):
        try:
            times.append(_once(folder, env))
        finally:
            command([GPULAB, "down", "--delete"], env)
    name = "GPUs allocatable and ClusterPolicy ready, after nodes Ready"
    return [Row(name, statistics.median(times), max(times), 3.0, "s")]


def _once(folder: Path, env: dict[str, str]) -> float:
    kubeconfig = folder / "home" / "labs" / "lab" / "kubeconfig"
    gpus = expected_gpus("default")
    with subprocess.Popen([GPULAB, "up"], env=env, stderr=subprocess.DEVNULL) as up:
        _until(kubeconfig.exists)
        with connect(kubeconfig) as api:
            _until(lambda: nodes_missing(api, dict.fromkeys(gpus, 0)) is None)
            began = time.monotonic()
            _until(lambda: _is_ready(api) and nodes_missing(api, gpus) is None)
            took = time.monotonic() - began
        if up.wait(timeout=DEADLINE):
            raise RuntimeError(f"gpulab up exited with {up.returncode}")
    return took


def _is_ready(api: Api) -> bool:
    policies = api.json(POLICIES)["items"]
    return any((each.get("status") or {}).get("state") == "ready" for each in policies)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not _holds(holds):
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done after {DEADLINE:.0f} s")
        time.sleep(LOOK)


def _holds(holds: Callable[[], bool]) -> bool:
    """False too while the API server comes up."""
    try:
        return holds()
    except (Unreachable, ApiProblem, ApiAbsent):
        return False
