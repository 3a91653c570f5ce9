"""`gpulab reset`: an exercise that was solved, and a lab in which somebody has worked."""

from __future__ import annotations

import statistics
from pathlib import Path

from gpulab import binaries
from gpulab.paths import ROOT
from tests.bench.measure import GPULAB, Row, command, surroundings, timed

SOLUTION = ROOT / "exercises" / "01-deploy-gpu-pod" / "solution" / "pod.yaml"


def measure(folder: Path, runs: int) -> list[Row]:
    """On the default fleet; what is to be undone is made anew each time."""
    env = surroundings(folder)
    command([GPULAB, "up"], env)
    try:
        command([GPULAB, "start", "01"], env)
        one = [_once(folder, env, "01") for _ in range(runs)]
        whole = [_once(folder, env, "--lab", "--yes") for _ in range(runs)]
    finally:
        command([GPULAB, "down", "--delete"], env)
    return [
        Row("gpulab reset 01, solved", statistics.median(one), max(one), 1.0, "s"),
        Row("gpulab reset --lab", statistics.median(whole), max(whole), 1.0, "s"),
    ]


def _once(folder: Path, env: dict[str, str], *what: str) -> float:
    config = folder / "home" / "labs" / "lab" / "kubeconfig"
    kubectl = [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(config)]
    command([GPULAB, "start", "01"], env)
    command([*kubectl, "apply", "-f", str(SOLUTION)], env)
    command([*kubectl, "-n", "gpu-basics", "create", "configmap", "mine"], env)
    ready = "--for=jsonpath={.status.phase}=Succeeded"
    command([*kubectl, "-n", "gpu-basics", "wait", "pod/gpu-test", ready], env)
    return timed(lambda: command([GPULAB, "reset", *what], env))
