"""A GPU Pod from POST to Running on the default fleet, beside bare KWOK with one such node."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from autograders.connect import Api, connect
from tests.bench.kwokctl import Kwokctl
from tests.bench.measure import GPULAB, Row, command, percentile, surroundings

PODS = 50  # one after another
LOOK = 0.002  # seconds between two looks
DEADLINE = 30.0
PATH = "/api/v1/namespaces/default/pods"
NODE: dict[str, Any] = {"cpu": "224", "memory": "2015Gi", "pods": "110", "nvidia.com/gpu": "8"}


def measure(folder: Path, runs: int) -> list[Row]:
    """With the image on the nodes, so that no pull is measured."""
    bare, ours = _bare(folder), _ours(folder)
    note = f"bare KWOK {statistics.median(bare):.3f} s"
    return [
        Row(f"POST to Running, p50 of {PODS}", statistics.median(ours), max(ours), 0.15, "s", note),
        Row("… p95", percentile(ours, 0.95), max(ours), 1.0, "s", f"{percentile(bare, 0.95):.3f}"),
    ]


def _ours(folder: Path) -> list[float]:
    env = surroundings(folder)
    command([GPULAB, "up"], env)
    try:
        return times(folder / "home" / "labs" / "lab" / "kubeconfig")
    finally:
        command([GPULAB, "down", "--delete"], env)


def _bare(folder: Path) -> list[float]:
    cluster = Kwokctl(folder)
    cluster.create()
    try:
        with connect(cluster.kubeconfig, read_only=False) as api:
            status = {"capacity": NODE, "allocatable": NODE}
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "b"}, "status": status}
            api.client.post("/api/v1/nodes", json=node).raise_for_status()
        return times(cluster.kubeconfig)
    finally:
        cluster.delete()


def times(kubeconfig: Path) -> list[float]:
    with connect(kubeconfig, read_only=False) as api:
        _until_running(api, "first")  # brings the image; also waits for the ServiceAccount
        return [_until_running(api, f"p-{number}") for number in range(PODS)]


def _until_running(api: Api, name: str) -> float:
    """Create a Pod; seconds until it runs. It is deleted again."""
    began = time.monotonic()
    while (answer := api.client.post(PATH, json=_pod(name))).status_code != 201:
        if time.monotonic() - began > DEADLINE:
            raise RuntimeError(answer.text)
        time.sleep(0.1)
    began = time.monotonic()
    while api.json(f"{PATH}/{name}")["status"]["phase"] != "Running":
        if time.monotonic() - began > DEADLINE:
            raise RuntimeError(f"{name} does not run after {DEADLINE:.0f} s")
        time.sleep(LOOK)
    took = time.monotonic() - began
    api.client.delete(f"{PATH}/{name}", params={"gracePeriodSeconds": 0})
    return took


def _pod(name: str) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": "1"}
    container = {"name": "main", "image": "registry.k8s.io/pause:3.10.1"}
    spec = {"containers": [container | {"resources": {"limits": limits}}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
