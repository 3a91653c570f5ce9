"""From a node's new MIG label to its state `success` and all that it then offers, at speed 20."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import cycle
from pathlib import Path

from autograders.connect import Api, connect
from gpulab import binaries
from tests.bench.measure import GPULAB, Row, command, surroundings, timed

NODE = "/api/v1/nodes/h100-1"
WANTED = {"all-1g.10gb": "56", "all-disabled": "8"}
DEADLINE = 60.0
LOOK = 0.02  # seconds between two looks
CONFIG = "nvidia.com/mig.config"
LABEL = ("label", "--overwrite", "node", "h100-1")


def measure(folder: Path, runs: int) -> list[Row]:
    env = surroundings(folder)
    try:
        command([GPULAB, "up", "--speed", "20"], env)
        kubeconfig = folder / "home" / "labs" / "lab" / "kubeconfig"
        label = [str(binaries.ensure()["kubectl"]), "--kubeconfig", str(kubeconfig), *LABEL]
        with connect(kubeconfig) as api:
            times = list(_switches(api, label, env, runs))
    finally:
        command([GPULAB, "down", "--delete"], env)
    name = "MIG switch of a node of 8 GPUs, at speed 20"
    return [Row(name, statistics.median(times), max(times), 3.0, "s")]


def _switches(api: Api, label: list[str], env: Mapping[str, str], runs: int) -> Iterator[float]:
    """With the time that kubectl takes."""
    for _, (config, gpus) in zip(range(runs), cycle(WANTED.items()), strict=False):
        yield timed(partial(_switch, api, [*label, f"{CONFIG}={config}"], env, gpus))


def _switch(api: Api, label: list[str], env: Mapping[str, str], gpus: str) -> None:
    command(label, env)
    deadline = time.monotonic() + DEADLINE
    while not _is_settled(api, gpus):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{label[-1]} not settled after {DEADLINE:.0f} s")
        time.sleep(LOOK)


def _is_settled(api: Api, gpus: str) -> bool:
    node = api.json(NODE)
    state = node["metadata"]["labels"].get("nvidia.com/mig.config.state")
    return bool(state == "success" and node["status"]["allocatable"]["nvidia.com/gpu"] == gpus)
