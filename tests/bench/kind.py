"""`gpulab up --provider kind`, beside `kind create cluster --wait` with the same two nodes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psutil
import yaml

from gpulab.paths import DATA
from gpulab.providers import docker, kind_cluster
from gpulab.versions import versions
from tests.bench.measure import GPULAB, Row, command, interleave, surroundings, versus

NAME, THEIRS = "bench", "gpulab-bench-reference"
SETTLE_SECONDS = 10
UP = [GPULAB, "up", "--name", NAME]


def measure(folder: Path, runs: int) -> list[Row]:
    """Create, and what the processes beside the containers use."""
    env = surroundings(folder)
    kind = [str(kind_cluster.program()), "{}", "cluster", "--name", THEIRS]
    create, delete = ([word.format(verb) for word in kind] for verb in ("create", "delete"))
    create += ["--config", str(plain(folder)), "--wait", "3m", "--image", image()]
    create += ["--kubeconfig", str(folder / "kubeconfig")]
    remove = [GPULAB, "down", "--delete", "--name", NAME]
    created = interleave(
        {
            "ours": lambda: command([*UP, "--provider", "kind"], env),
            "theirs": lambda: command(create, env),
        },
        min(runs, 3),
        {"ours": lambda: command(remove, env), "theirs": lambda: command(delete, env)},
    )
    command([*UP, "--provider", "kind"], env)
    try:
        time.sleep(SETTLE_SECONDS)
        used = beside(env)
    finally:
        command(remove, env)
    return [
        versus("gpulab up --provider kind, new lab", created["ours"], created["theirs"], 6),
        Row("memory beside kind's containers", used, used, 200, "MiB"),
    ]


def image() -> str:
    return os.environ.get(kind_cluster.VARIABLE) or versions().kind.node_image


def plain(folder: Path) -> Path:
    """Two nodes and nothing else of ours, but what cgroup v1 needs."""
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane"}, {"role": "worker"}],
    }
    if docker.info().cgroup_version == "1":
        config |= yaml.safe_load((DATA / "kind" / "cgroup-v1.yaml").read_text())
    path = folder / "kind.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def beside(env: dict[str, str]) -> float:
    """MiB of the simulator and of kwok."""
    status = json.loads(command([GPULAB, "status", "--json", "--name", NAME], env))
    names = {"simulator", "kwok-controller"}
    pids = [each["pid"] for each in status["components"] if each["name"] in names]
    return sum(psutil.Process(pid).memory_info().rss for pid in pids) / 2**20
