"""From a node's new MIG label to its state `success` and all that it then offers, at speed 20."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from pathlib import Path

from autograders.connect import Api, connect
from tests.bench.measure import GPULAB, Row, command, surroundings, timed

NODE = "/api/v1/nodes/h100-1"
WANTED = {"all-1g.10gb": "56", "all-disabled": "8"}
DEADLINE = 60.0
LOOK = 0.02  # seconds between two looks
MERGE = {"Content-Type": "application/merge-patch+json"}


def measure(folder: Path, runs: int) -> list[Row]:
    env = surroundings(folder)
    try:
        command([GPULAB, "up", "--speed", "20"], env)
        kubeconfig = folder / "home" / "labs" / "lab" / "kubeconfig"
        with connect(kubeconfig) as api:
            times = list(_switches(api, runs))
    finally:
        command([GPULAB, "down", "--delete"], env)
    name = "MIG switch of a node of 8 GPUs, at speed 20"
    return [Row(name, statistics.median(times), max(times), 3.0, "s")]


def _switches(api: Api, runs: int) -> Iterator[float]:
    for _, (config, gpus) in zip(range(runs), cycle(WANTED.items()), strict=False):
        yield timed(partial(_switch, api, config, gpus))


def _switch(api: Api, config: str, gpus: str) -> None:
    body = {"metadata": {"labels": {"nvidia.com/mig.config": config}}}
    api.client.patch(NODE, json=body, headers=MERGE).raise_for_status()
    deadline = time.monotonic() + DEADLINE
    while not _is_settled(api, gpus):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{config} not settled after {DEADLINE:.0f} s")
        time.sleep(LOOK)


def _is_settled(api: Api, gpus: str) -> bool:
    node = api.json(NODE)
    state = node["metadata"]["labels"].get("nvidia.com/mig.config.state")
    return bool(state == "success" and node["status"]["allocatable"]["nvidia.com/gpu"] == gpus)
