"""The programs of an embedded lab: kwokctl's five, as it wrote them down, the simulator, and more.

The exporter of the GPUs' metrics is one of them from when it was first asked for.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from gpulab import supervisor
from gpulab.paths import LabPaths
from gpulab.programs import Program, kill, running

NAMES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
)
SIMULATOR, METRICS, EXPORTER = "simulator", "metrics", "exporter"
SIMULATED = {SIMULATOR: "kubelet", METRICS: "metrics"}  # one process; ports by component
HOPELESS = 3  # so often in a row, and for so many seconds, that waiting is no use
LATELY = 30.0
TAIL = 4096  # bytes of a log that hold its last line
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


class Damaged(Exception):
    """A file of kwokctl's that nobody can read."""


def programs(paths: LabPaths) -> list[Program]:
    """All of them; Damaged if kwokctl's file is."""
    return [*control_plane(paths), simulator(paths), *exporters(paths)]


def control_plane(paths: LabPaths) -> list[Program]:
    """What kwokctl would start, in its order."""
    try:
        document = next(yaml.load_all((paths.cluster / "kwok.yaml").read_bytes(), LOADER))
        found = {each["name"]: each for each in document["components"]}
        return [_program(paths, found[name]) for name in NAMES]
    except (OSError, yaml.YAMLError, StopIteration, KeyError, TypeError) as error:
        raise Damaged(f"{paths.cluster / 'kwok.yaml'} ({error})") from None


def _program(paths: LabPaths, component: dict[str, Any]) -> Program:
    return Program(
        name=component["name"],
        command=[component["binary"], *component["args"]],
        folder=str(paths.cluster),
        log=str(log(paths, component["name"])),
        env={each["name"]: each.get("value", "") for each in component.get("envs") or ()},
    )


def log(paths: LabPaths, name: str) -> Path:
    """Where a component's output goes."""
    if name in SIMULATED:
        return paths.logs / "simulator.log"
    if name == EXPORTER:
        return paths.logs / "exporter.log"
    return paths.cluster / "logs" / f"{name}.log"


def simulator(paths: LabPaths) -> Program:
    """The simulated kubelets and the metrics API."""
    command = [sys.executable, "-m", "gpulab.sim", str(simulator_config(paths))]
    return Program(SIMULATOR, command, "/", str(log(paths, SIMULATOR)), {})


def exporter(paths: LabPaths) -> Program:
    """What serves the GPUs' metrics; the port stands in a file, so that it is known without it."""
    files = (simulator_config(paths), paths.metrics)
    command = [sys.executable, "-m", "gpulab.exporter", *map(str, files)]
    return Program(EXPORTER, command, "/", str(log(paths, EXPORTER)), {})


def exporters(paths: LabPaths) -> list[Program]:
    """The exporter, if the metrics are to be served."""
    return [] if metrics_port(paths) is None else [exporter(paths)]


def metrics_port(paths: LabPaths) -> int | None:
    """Where the GPUs' metrics are served; None: nowhere."""
    try:
        return int(paths.metrics.read_text())
    except (OSError, ValueError):
        return None


def simulator_config(paths: LabPaths) -> Path:
    return paths.root / "simulator.json"


def pids(paths: LabPaths) -> dict[str, int]:
    """Pid of each component that runs."""
    try:
        known = programs(paths)
    except Damaged:
        known = [simulator(paths), *exporters(paths)]
    found = {name: process.pid for name, process in running(known).items()}
    if SIMULATOR in found:
        found[METRICS] = found[SIMULATOR]
    return found


def crashing(paths: LabPaths) -> str | None:
    """Which component ends again and again, and its last words."""
    for name, healing in supervisor.read_healings(paths.processes).items():
        if healing.again >= HOPELESS and time.time() - healing.last < LATELY:
            return f"{name} ends again and again: {last_words(log(paths, name))}"
    return None


def last_words(file: Path) -> str:
    """The last line of a log, cut."""
    try:
        with open(file, "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - TAIL))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return "no output"
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "no output")


def end_all(paths: LabPaths, within: float) -> list[str]:
    """End whatever runs of this lab, known or not; names of what does not end."""
    folder = f"{paths.cluster / 'bin'}{os.sep}"
    ours = [each.command[1:] for each in (simulator(paths), exporter(paths))]
    config = str(paths.root / "kwokctl.yaml")
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        # a kwokctl that outlived its gpulab has been told of the configuration
        if words[0].startswith(folder) or words[1:] in ours or config in words:
            found.append(process)
    return [f"process {each.pid}" for each in kill(found, within)]


def end_simulator(paths: LabPaths, within: float) -> None:
    """End the simulated kubelets: what they had begun, the next ones go on with.

    The exporter, which knows their nodes, ends with them; the supervisor starts it again.
    """
    kill(running([simulator(paths), exporter(paths)]).values(), within)
