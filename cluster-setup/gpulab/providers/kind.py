"""Provider `kind`: a real control plane and a real worker as containers, beside simulated nodes.

kind makes the containers; kwok and the simulated kubelets are processes of this machine, which the
API server reaches on Docker's bridge. What this lab made is known by the folder of its own that is
in each of its containers.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import shutil

import psutil

from autograders.errors import InputError
from gpulab import binaries, kubeconfig, ports, supervision
from gpulab.lab import ON_KIND, SERVED, Record, Wanted, new_record, write_record
from gpulab.pairs import KubeletPki, Pair
from gpulab.paths import LabPaths, private_dir
from gpulab.private import write_private
from gpulab.programs import Program, kill, running, spawn
from gpulab.providers import Say, components, docker, kind_cluster, kind_health, kind_pausing
from gpulab.providers.components import SIMULATOR
from gpulab.providers.docker import Container
from gpulab.providers.parts import Part
from gpulab.sim.config import Config, Identity
from gpulab.waiting import eventually

SIMULATED = True
SNAPSHOTS = False
KWOK = kind_health.KWOK
PROXY = "front-proxy-client"  # kubeadm's name for the API server that forwards requests
HALT = "SIGRTMIN+3"  # for which systemd, the first process of a node, shuts down
STOP_SECONDS = 20.0
ORDER = "order"


def create(paths: LabPaths, wanted: Wanted) -> Record:
    """Make the cluster and start it; returns while it is still coming up."""
    binaries.ensure()
    found = docker.info()
    docker.expect_room(found)
    image = kind_cluster.image(wanted.node_image)
    _refuse_foreign(paths)
    abandon(paths)
    record = new_record(
        dataclasses.replace(wanted, node_image=image), ports.free_ports(sorted(ON_KIND))
    )
    private_dir(paths.kind)
    kind_cluster.configure(paths, record, cgroup=found.cgroup_version)
    kind_cluster.kind(paths, "create", "cluster", "--config", str(kind_cluster.config(paths)))
    address = docker.gateway()
    kind_cluster.identify(paths, address)
    _keep_order(paths)
    kubeconfig.write_all(paths, record.ports["kube-apiserver"])
    kind_cluster.keep_apart(paths)
    _start_simulation(paths, record, address, install=True)
    write_record(paths, record)
    return record


def abandon(paths: LabPaths) -> None:
    """Remove what a creation that failed has left."""
    _stop_simulation(paths)
    if nodes(paths):
        kind_cluster.kind(paths, "delete", "cluster")
    shutil.rmtree(paths.kind, ignore_errors=True)
    shutil.rmtree(paths.kwok, ignore_errors=True)


def start(paths: LabPaths, record: Record, say: Say = lambda _: None) -> None:
    """Start what of an existing lab does not run; returns while it is still coming up."""
    binaries.ensure()
    docker.info()
    made = nodes(paths)
    if len(made) < len(kind_cluster.names(paths)):
        what = f"containers of lab {paths.name!r} are gone"
        raise InputError(what, f"make it anew: gpulab down --delete --name {paths.name}")
    stopped = {each.name for each in made if not each.running}
    if kind_cluster.names(paths)[0] in stopped:
        ports.check_free({"kube-apiserver": record.ports["kube-apiserver"]}, paths.name)
    for name in _order(paths):
        if name in stopped:
            docker.run("start", name)
    kind_pausing.resume_all(paths)
    kubeconfig.write_all(paths, record.ports["kube-apiserver"])
    _start_simulation(paths, record, docker.gateway())


def stop(paths: LabPaths) -> None:
    """Stop everything of the lab; its state stays."""
    _stop_simulation(paths)
    running = [each.name for each in nodes(paths) if each.running]
    if running:
        docker.run("kill", "--signal", HALT, *running)
        eventually(lambda: _still(paths), STOP_SECONDS, f"docker stop {' '.join(running)}")


def delete(paths: LabPaths) -> None:
    """Remove the cluster and everything that the lab kept."""
    abandon(paths)
    shutil.rmtree(paths.root)


def is_up(paths: LabPaths) -> bool:
    """Whether anything of its control plane runs."""
    return any(each.running for each in nodes(paths))


def restart_simulator(paths: LabPaths, record: Record) -> None:
    """Start the simulated kubelets anew: they register every node of the fleet again."""
    components.end_simulator(paths, STOP_SECONDS)
    _configure(paths, record, docker.gateway(), install=False)
    spawn(components.simulator(paths))


def is_set_up(paths: LabPaths, record: Record) -> None:
    """From now on nothing is installed again that a learner deletes."""
    _configure(paths, record, docker.gateway(), install=False)


def parts(paths: LabPaths, record: Record) -> list[Part]:
    """What it consists of, and how each can be asked for its health."""
    return kind_health.parts(paths, record, lambda: nodes(paths), running(_programs(paths, record)))


def switch(paths: LabPaths, component: str, *, on: bool) -> bool:
    """Let a component pause, or go on; False if it does so already."""
    if not is_up(paths):
        raise InputError(f"lab {paths.name!r} is down", f"gpulab up --name {paths.name}")
    return kind_pausing.switch(paths, component, on=on)


def nodes(paths: LabPaths) -> list[Container]:
    """The containers that this lab has made."""
    return [each for each in _of_that_name(paths) if _is_ours(paths, each)]


def _of_that_name(paths: LabPaths) -> list[Container]:
    return docker.containers(f"{kind_cluster.LABEL}={kind_cluster.name(paths)}")


def _is_ours(paths: LabPaths, each: Container) -> bool:
    return each.mounts.get(kind_cluster.FOLDER) == str(kind_cluster.shared(paths))


def _keep_order(paths: LabPaths) -> None:
    """Note the order in which Docker gives the containers the addresses that they have now."""
    by_address = sorted(nodes(paths), key=lambda each: ipaddress.ip_address(each.address))
    (paths.kind / ORDER).write_text("\n".join(each.name for each in by_address))


def _order(paths: LabPaths) -> list[str]:
    """Nodes that start with another address must be mended, which not every image does."""
    return (paths.kind / ORDER).read_text().split()


def _refuse_foreign(paths: LabPaths) -> None:
    if any(not _is_ours(paths, each) for each in _of_that_name(paths)):
        name = kind_cluster.name(paths)
        what = f"there is a kind cluster {name!r} that this lab did not make"
        raise InputError(what, "choose another name: gpulab up --provider kind --name other")


def _start_simulation(
    paths: LabPaths, record: Record, address: str, *, install: bool = False
) -> None:
    """Start kwok and the simulator, unless they run, and have them looked after."""
    ours = _programs(paths, record)
    with supervision.alone(paths):
        there = running(ours)
        if KWOK not in there:
            ports.check_free({KWOK: record.ports[KWOK]}, paths.name)
        if SIMULATOR not in there:
            ports.check_free({name: record.ports[name] for name in SERVED}, paths.name, address)
            _configure(paths, record, address, install=install)
        for each in ours:
            if each.name not in there:
                spawn(each)
        supervision.watch(paths, ours)


def _programs(paths: LabPaths, record: Record) -> list[Program]:
    log = str(paths.logs / "kwok.log")
    command = kind_cluster.kwok(paths, record.ports[KWOK])
    mine = (components.simulator(paths), *components.exporters(paths))
    return [Program(KWOK, command, "/", log, {}), *mine]


def _stop_simulation(paths: LabPaths) -> None:
    """End them by what their command lines name, whatever became of the record."""
    supervision.end(paths)
    components.end_simulator(paths, STOP_SECONDS)
    ours = f"--kubeconfig={paths.admin_kubeconfig}"
    found = psutil.process_iter(["cmdline"])
    kill([each for each in found if ours in (each.info["cmdline"] or ())], STOP_SECONDS)


def _configure(paths: LabPaths, record: Record, address: str, *, install: bool) -> None:
    private_dir(paths.logs)
    config = _config(paths, record, address, install=install)
    write_private(components.simulator_config(paths), config.to_json())


def _config(paths: LabPaths, record: Record, address: str, *, install: bool = False) -> Config:
    kubelet, cluster = KubeletPki(paths.pki), paths.cluster_pki
    return Config(
        server=f"https://{ports.LOOPBACK}:{record.ports['kube-apiserver']}",
        api=Identity.of(cluster / "ca.crt", _admin(paths)),
        kubelet=Identity.of(cluster / "ca.crt", kubelet.server),
        metrics=Identity.of(cluster / kind_cluster.PROXY_CA, kubelet.server),
        metrics_client=PROXY,
        authority=str(kubelet.ca.crt),
        port=record.ports["kubelet"],
        metrics_port=record.ports["metrics"],
        fleet=record.fleet,
        seed=record.uid,
        causes=str(paths.causes),
        address=address,
        host=address,
        beside_real=True,
        speed=record.speed,
        install=install,
    )


def _admin(paths: LabPaths) -> Pair:
    return Pair(paths.cluster_pki / "admin.crt", paths.cluster_pki / "admin.key")


def _still(paths: LabPaths) -> str | None:
    left = [each.name for each in nodes(paths) if each.running]
    return f"{', '.join(left)} running" if left else None
