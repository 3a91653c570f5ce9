"""1,000 nodes with 8 GPUs each, then 4,000 two-GPU Pods, beside bare KWOK with the same nodes.

The controller managers have the same limit for requests. Ours runs at speed 20 with the image
present on the nodes. A node counts when its GPUs are allocatable, a Pod when it is Running with two
devices that no other Pod has.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from autograders.connect import Api, ApiAbsent, ApiProblem, Unreachable, connect
from gpulab.processes import ProcessFile
from gpulab.providers.kwokctl import REQUESTS
from tests.bench.kwokctl import Kwokctl
from tests.bench.measure import GPULAB, Row, command, surroundings

NODES, GPUS, PODS, EACH = 1000, 8, 4000, 2
POSTERS = 8  # threads that create objects, the same for both
DEADLINE = 600.0
FLEET = f"""
title: {NODES} nodes with {GPUS} H100s each
nodes:
- {{name: big, count: {NODES}, gpu: h100-80gb-sxm, gpus: {GPUS}, cpu: 224, memory_gib: 2015}}
"""


def measure(folder: Path, runs: int) -> list[Row]:
    """One run of each: a minute or more apiece."""
    nodes_bare, pods_bare = _bare(folder)
    nodes, pods, memory = _ours(folder)
    return [
        _row(f"{NODES} nodes: GPUs allocatable", nodes, nodes_bare, 2.5),
        _row(f"{PODS} Pods Running, {EACH} GPUs each", pods, pods_bare, 1.8),
        Row("simulator's memory at that size", memory, memory, 300, "MiB"),
    ]


def _row(name: str, ours: float, bare: float, factor: float) -> Row:
    note = f"bare KWOK {bare:.1f} s, ratio {ours / bare:.2f}"
    return Row(name, ours, ours, bare * factor, "s", note)


def _bare(folder: Path) -> tuple[float, float]:
    same = (f"--extra-args=kube-controller-manager={key}={n}" for key, n in REQUESTS.items())
    cluster = Kwokctl(folder, *same)
    cluster.create()
    try:
        with connect(cluster.kubeconfig, read_only=False) as api:
            began = time.monotonic()
            _post(api, "/api/v1/nodes", (_bare_node(i) for i in range(NODES)))
            _until(lambda: _ready_nodes(api) == NODES)
            nodes = time.monotonic() - began
            pods = _fill(api, "")
    finally:
        cluster.delete()
    return nodes, pods


def _ours(folder: Path) -> tuple[float, float, float]:
    env = surroundings(folder)
    fleet = folder / "big.yaml"
    fleet.write_text(FLEET)
    root = folder / "home" / "labs" / "lab"
    up = subprocess.Popen([GPULAB, "up", "--fleet", str(fleet), "--speed", "20"], env=env)
    try:
        _until((root / "kubeconfig").exists)
        with connect(root / "kubeconfig", read_only=False) as api:
            nodes = _nodes_seconds(api)
            if up.wait(timeout=DEADLINE):
                raise RuntimeError(f"gpulab up exited with {up.returncode}")
            pods = _fill(api, "big")
            _expect_distinct_devices(api)
            record = ProcessFile(root / "processes" / "simulator.json").read()
            assert record is not None
            memory = psutil.Process(record.pid).memory_info().rss / 2**20
    finally:
        up.terminate()
        up.wait(timeout=60)
        command([GPULAB, "down", "--delete"], env)
    return nodes, pods, memory


def _nodes_seconds(api: Api) -> float:
    """Seconds from the first Node seen until all have their GPUs allocatable."""
    _until(lambda: len(_nodes(api)) > 0)
    began = time.monotonic()
    _until(lambda: sum(map(_has_gpus, _nodes(api))) == NODES)
    return time.monotonic() - began


def _fill(api: Api, node_prefix: str) -> float:
    """Create all Pods; seconds until all are Running."""
    began = time.monotonic()
    _post(api, "/api/v1/namespaces/default/pods", (_pod(i) for i in range(PODS)))
    _until(lambda: _running_pods(api) == PODS)
    return time.monotonic() - began


def _post(api: Api, path: str, objects: Iterator[dict[str, Any]]) -> None:
    def post(item: dict[str, Any]) -> None:
        api.client.post(path, json=item).raise_for_status()

    with ThreadPoolExecutor(POSTERS) as pool:
        for _ in pool.map(post, objects):
            pass


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done after {DEADLINE:.0f} s")
        time.sleep(0.5)


def _nodes(api: Api) -> list[dict[str, Any]]:
    """All Nodes; none while the API server comes up."""
    try:
        return api.json("/api/v1/nodes", resourceVersion="0")["items"]
    except (Unreachable, ApiProblem, ApiAbsent):
        return []


def _has_gpus(node: dict[str, Any]) -> bool:
    return _is_ready(node) and node["status"]["allocatable"].get("nvidia.com/gpu") == str(GPUS)


def _ready_nodes(api: Api) -> int:
    return sum(map(_is_ready, _nodes(api)))


def _is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _running_pods(api: Api) -> int:
    path = "/api/v1/namespaces/default/pods"
    pods = api.json(path, fieldSelector="status.phase=Running", resourceVersion="0")
    return len(pods["items"])


def _expect_distinct_devices(api: Api) -> None:
    pods = api.json("/api/v1/namespaces/default/pods")["items"]
    uuids = [
        resource["resourceID"]
        for pod in pods
        for entry in pod["status"]["containerStatuses"][0]["allocatedResourcesStatus"]
        for resource in entry["resources"]
    ]
    assert len(uuids) == len(set(uuids)) == PODS * EACH, "a device was given twice"


def _pod(index: int) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(EACH)}
    container = {
        "name": "main",
        "image": "registry.k8s.io/pause:3.10.1",
        "resources": {"limits": limits},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"load-{index}"},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def _bare_node(index: int) -> dict[str, Any]:
    resources = {"cpu": "224", "memory": "2015Gi", "pods": "110", "nvidia.com/gpu": str(GPUS)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"bare-{index}"},
        "status": {"capacity": resources, "allocatable": resources},
    }
