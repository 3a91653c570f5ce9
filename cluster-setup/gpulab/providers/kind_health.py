"""What a lab of provider kind consists of, and whether it is well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import psutil

from autograders.connect import ApiAbsent, ApiProblem, connect
from autograders.errors import InputError
from gpulab import ports
from gpulab.lab import Record
from gpulab.pairs import Pair
from gpulab.paths import LabPaths
from gpulab.providers import components, docker, kind_cluster, kind_pausing
from gpulab.providers.docker import Container
from gpulab.providers.parts import OK, PAUSED, STOPPED, Door, Part
from gpulab.ready import REAL

KWOK = "kwok-controller"
UNKNOWN = ""  # what is said of everything where the API does not answer
STATIC = ("kube-controller-manager", "kube-scheduler")  # Pods of the control plane


def parts(
    paths: LabPaths,
    record: Record,
    nodes: Callable[[], list[Container]],
    running: Mapping[str, psutil.Process],
) -> list[Part]:
    """Containers, the control plane in the first of them, and the processes of this machine."""
    try:
        made = {each.name: each for each in nodes()}
        seen = _ready(paths) if any(each.running for each in made.values()) else {}
        inside = [*_containers(paths, made, seen), *_control_plane(paths, record, made, seen)]
        address = docker.gateway()
    except InputError as error:
        said = error.what
        inside, address = [Part("Docker", None, None, lambda: said)], None
    return [*inside, *_simulated(paths, record, address, running)]


def _containers(
    paths: LabPaths, made: Mapping[str, Container], seen: Mapping[str, str]
) -> list[Part]:
    found = []
    for name in kind_cluster.names(paths):
        each = made.get(name)
        ask = partial(_said, seen, name) if each and each.running else _stopped
        found.append(Part(name, _pid(each), None, ask))
    return found


def _control_plane(
    paths: LabPaths, record: Record, made: Mapping[str, Container], seen: Mapping[str, str]
) -> list[Part]:
    control, port = made.get(kind_cluster.names(paths)[0]), record.ports["kube-apiserver"]
    if control is None or not control.running:
        asked: dict[str, Callable[[], str]] = {
            name: _stopped for name in ("etcd", "kube-apiserver", *STATIC)
        }
    else:
        cluster, paused = paths.cluster_pki, kind_pausing.paused(paths)
        admin = Pair(cluster / "admin.crt", cluster / "admin.key")
        server = Door(port, "/readyz", admin, cluster / "ca.crt")
        asked = {"etcd": replace(server, path="/livez/etcd").ask, "kube-apiserver": server.ask}
        for name in STATIC:
            pod = f"{name}-{control.name}"
            asked[name] = _paused if name in paused else partial(_said, seen, pod)
    return [
        Part(name, _pid(control), port if name == "kube-apiserver" else None, ask)
        for name, ask in asked.items()
    ]


def _pid(container: Container | None) -> int | None:
    return container.pid if container else None


def _stopped() -> str:
    return STOPPED


def _paused() -> str:
    return PAUSED


def _said(seen: Mapping[str, str], name: str) -> str:
    return seen.get(name) or seen.get(UNKNOWN) or "not there"


def _ready(paths: LabPaths) -> dict[str, str]:
    """Health of real nodes and of the control plane's Pods by name, as the API has it.

    Read here once: several threads that are the first to parse answers can crash msgspec.
    """
    try:
        with connect(paths.admin_kubeconfig, read_only=False) as api:
            items = list(api.json("/api/v1/nodes", labelSelector=REAL)["items"])
            pods = api.json(
                "/api/v1/namespaces/kube-system/pods", labelSelector="tier=control-plane"
            )
            items += pods["items"]
    except (InputError, ApiProblem, ApiAbsent) as error:
        return {UNKNOWN: f"no answer ({error})"}
    return {each["metadata"]["name"]: _condition(each) for each in items}


def _condition(item: dict[str, Any]) -> str:
    conditions = item["status"].get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return OK if ready else "not Ready"


def _simulated(
    paths: LabPaths, record: Record, address: str | None, running: Mapping[str, psutil.Process]
) -> list[Part]:
    """The processes of this machine; without Docker, whether they run is all that can be said."""
    simulator = running.get(components.SIMULATOR)
    found = [_process(KWOK, record.ports[KWOK], running.get(KWOK), _door(record.ports[KWOK]).ask)]
    for name, port in components.SIMULATED.items():
        at = record.ports[port]
        found.append(_process(name, at, simulator, partial(_listens, at, address)))
    return found


def _door(port: int) -> Door:
    return Door(port, "/healthz", tls=False)


def _process(name: str, port: int, process: psutil.Process | None, ask: Callable[[], str]) -> Part:
    return Part(name, process.pid if process else None, port, ask if process else _stopped)


def _listens(port: int, address: str | None) -> str:
    """Only the API server is let in, so that it listens is all that this machine can see."""
    if address is None:
        return "no answer (no address of Docker's bridge)"
    return f"no answer on {address}" if ports.is_free(port, address) else OK
