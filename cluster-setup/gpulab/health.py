"""What runs of a lab, on which port, and whether it answers."""

from __future__ import annotations

import datetime as dt
import http.client
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autograders.connect import ApiAbsent, ApiProblem, connect
from autograders.errors import InputError
from gpulab import faults, jupyter, ready, supervision, supervisor
from gpulab.lab import Record
from gpulab.pairs import EtcdPki, KubeletPki, Pair
from gpulab.paths import LabPaths
from gpulab.ports import LOOPBACK
from gpulab.providers import components, pausing
from gpulab.supervisor import Healing

TIMEOUT = 2.0


class Component(msgspec.Struct, frozen=True):
    """One process; `port` is on loopback, `health` is ok, stopped, paused, or what was seen."""

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


@dataclass(frozen=True)
class Probe:
    """How to ask one component for its health."""

    name: str
    path: str
    client: Pair | None = None
    ca: Path | None = None  # None: its certificate is not checked (self-signed, on loopback)
    tls: bool = True


def status(paths: LabPaths, record: Record) -> Status:
    """Ask every component at once; a stopped lab is an answer, not an error."""
    pids, healings = components.pids(paths), supervisor.read_healings(paths.processes)
    watched = supervision.process(paths)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda p: _component(p, record, pids, healings), _probes(paths)))
    stopped = all(component.pid is None for component in found)
    missing = "every component is stopped" if stopped else _missing(paths, record, found)
    if missing is None and watched is None:
        missing = "supervisor: stopped"
    return Status(
        name=paths.name,
        provider=record.provider,
        state="stopped" if stopped else "not ready" if missing else "ready",
        ready=missing is None,
        missing=missing,
        fleet=record.fleet,
        speed=record.speed,
        gpus=sum(ready.expected_gpus(record.fleet).values()),
        kubeconfig=str(paths.kubeconfig),
        jupyterlab=jupyter.url(paths),
        faults=[f"{each.fault} on {each.node}" for each in faults.active(paths)],
        supervisor=watched.pid if watched else None,
        components=[*found, *jupyter_component(paths)],
    )


def _probes(paths: LabPaths) -> list[Probe]:
    cluster = paths.cluster / "pki"
    admin, ca = Pair(cluster / "admin.crt", cluster / "admin.key"), cluster / "ca.crt"
    kubelet, etcd = KubeletPki(paths.pki), EtcdPki(paths.pki)
    return [
        Probe("etcd", "/health", etcd.client, etcd.ca.crt),
        Probe("kube-apiserver", "/readyz", admin, ca),
        Probe("kube-controller-manager", "/healthz"),
        Probe("kube-scheduler", "/healthz"),
        Probe("kwok-controller", "/healthz", tls=False),
        Probe(components.SIMULATOR, "/healthz", kubelet.client, kubelet.ca.crt),
        Probe(components.METRICS, "/healthz", admin, kubelet.ca.crt),
    ]


def _component(
    probe: Probe, record: Record, pids: Mapping[str, int], healings: Mapping[str, Healing]
) -> Component:
    pid, port = pids.get(probe.name), record.ports[components.SIMULATED.get(probe.name, probe.name)]
    process = components.SIMULATOR if probe.name == components.METRICS else probe.name
    healing = healings.get(process, Healing())
    last = dt.datetime.fromtimestamp(healing.last, dt.UTC) if healing.restarts else None
    health = _health(probe, pid, port, healing)
    return Component(probe.name, pid, port, health, healing.restarts, last)


def _health(probe: Probe, pid: int | None, port: int, healing: Healing) -> str:
    if pid is None:
        if healing.again == 0:
            return "stopped"
        at = dt.datetime.fromtimestamp(healing.until).astimezone()
        return f"ended {healing.again + 1} times soon after its start; next try {at:%H:%M:%S}"
    can_be = probe.name.removeprefix("kube-") in pausing.COMPONENTS
    return "paused" if can_be and pausing.is_paused(pid) else _ask(probe, port)


def _ask(probe: Probe, port: int) -> str:
    try:
        with closing(_connection(probe, port)) as connection:
            connection.request("GET", probe.path)
            answer = connection.getresponse()
            return "ok" if answer.status == 200 else f"{answer.status} {answer.reason}"
    except (OSError, ssl.SSLError, http.client.HTTPException) as error:
        return f"no answer ({error})"


def _connection(probe: Probe, port: int) -> http.client.HTTPConnection:
    if not probe.tls:
        return http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=probe.ca)
    if probe.ca is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if probe.client is not None:
        context.load_cert_chain(probe.client.crt, probe.client.key)
    return http.client.HTTPSConnection(LOOPBACK, port, timeout=TIMEOUT, context=context)


def _missing(paths: LabPaths, record: Record, found: list[Component]) -> str | None:
    for component in found:
        if component.health != "ok":
            return f"{component.name}: {component.health}"
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
