"""What runs of a lab, on which port, and whether it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from autograders.connect import ApiAbsent, ApiProblem, connect
from autograders.errors import InputError
from gpulab import faults, jupyter, providers, ready, supervision, supervisor
from gpulab.lab import Record
from gpulab.paths import LabPaths
from gpulab.providers import components
from gpulab.providers.parts import STOPPED, Part
from gpulab.supervisor import Healing


class Component(msgspec.Struct, frozen=True):
    """One process or container; `health` is ok, stopped, paused, or what was seen."""

    name: str
    pid: int | None
    port: int | None
    health: str
    restarts: int = 0
    """How often the supervisor started it again since the lab was started."""
    restarted: dt.datetime | None = None
    """When it did so last."""


class Status(msgspec.Struct, frozen=True):
    """The answer of `gpulab status`. `state` is ready, stopped or not ready."""

    name: str
    provider: str
    state: str
    ready: bool
    missing: str | None
    fleet: str
    speed: float
    gpus: int
    kubeconfig: str
    jupyterlab: str | None
    faults: list[str]  # what is broken on purpose, and where
    supervisor: int | None
    """Pid of the process that starts again what dies."""
    components: list[Component]


def status(paths: LabPaths, record: Record) -> Status:
    """Ask every component at once; a stopped lab is an answer, not an error."""
    provider = providers.of(record.provider)
    parts, healings = provider.parts(paths, record), supervisor.read_healings(paths.processes)
    watched = supervision.process(paths)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda part: _component(part, healings), parts))
    stopped = all(component.health == STOPPED for component in found)
    missing = "every component is stopped" if stopped else _missing(paths, record, found)
    if missing is None and watched is None and provider.SIMULATED:
        missing = "supervisor: stopped"
    return Status(
        name=paths.name,
        provider=record.provider,
        state="stopped" if stopped else "not ready" if missing else "ready",
        ready=missing is None,
        missing=missing,
        fleet=record.fleet,
        speed=record.speed,
        gpus=sum(ready.expected_gpus(record.fleet).values()) if provider.SIMULATED else 0,
        kubeconfig=str(paths.kubeconfig),
        jupyterlab=jupyter.url(paths),
        faults=[f"{each.fault} on {each.where}" for each in faults.active(paths)],
        supervisor=watched.pid if watched else None,
        components=[*found, *jupyter_component(paths)],
    )


def _component(part: Part, healings: Mapping[str, Healing]) -> Component:
    process = components.SIMULATOR if part.name == components.METRICS else part.name
    healing = healings.get(process, Healing())
    last = dt.datetime.fromtimestamp(healing.last, dt.UTC) if healing.restarts else None
    health = part.ask()
    if health == STOPPED and healing.again:
        at = dt.datetime.fromtimestamp(healing.until).astimezone()
        times = healing.again + 1
        health = f"ended {times} times soon after its start; next try {at:%H:%M:%S}"
    return Component(part.name, part.pid, part.port, health, healing.restarts, last)


def _missing(paths: LabPaths, record: Record, found: list[Component]) -> str | None:
    for component in found:
        if component.health != "ok":
            return f"{component.name}: {component.health}"
    if not providers.of(record.provider).SIMULATED:
        return None
    try:
        with connect(paths.admin_kubeconfig, read_only=False) as api:
            return ready.sound_nodes_missing(api, paths, record.fleet)
    except (InputError, ApiProblem, ApiAbsent) as error:
        return str(error)


def jupyter_component(paths: LabPaths) -> Iterator[Component]:
    """JupyterLab, while it runs."""
    running = jupyter.process(paths).read()
    if running is not None:
        health = "ok" if jupyter.serves(paths) else "no answer"
        yield Component("jupyterlab", running.pid, running.port, health)
