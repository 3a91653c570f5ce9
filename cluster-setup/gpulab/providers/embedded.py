"""Provider `embedded`: a real control plane as plain processes of this user, no containers.

kwokctl makes etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, and writes
down how each is started. The simulated kubelets are one more process. A supervisor keeps all six.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial

import msgspec

from autograders.errors import InputError
from gpulab import binaries, kubeconfig, ports, programs, supervision
from gpulab.lab import SERVED, Record, Wanted, new_record, write_record
from gpulab.pairs import LEARNER, EtcdPki, KubeletPki, Pair, pair_of
from gpulab.paths import LabPaths, private_dir
from gpulab.private import private, write_private
from gpulab.providers import Say, components, kwokctl, pausing, repair
from gpulab.providers.components import EXPORTER, METRICS, SIMULATOR
from gpulab.providers.parts import PAUSED, STOPPED, Door, Part
from gpulab.sim.config import Config, Identity

SIMULATED = True
SNAPSHOTS = True
PROXY = "gpulab-admin"  # the name that the API server shows to whom it forwards requests
STOP_SECONDS = 20.0
START_SECONDS = 120.0  # a cold disk on a laptop; the usual time is 3 s


def create(paths: LabPaths, wanted: Wanted) -> Record:
    """Make the cluster's files and start it; returns while it is still coming up."""
    binaries.ensure()
    repair.check_room(paths)
    record = new_record(wanted, ports.free_ports([*kwokctl.PORTS, *SERVED]))
    _clear(paths)
    private_dir(paths.kwok)
    with supervision.alone(paths):
        repair.certificates(paths)
        kubeconfig.write_all(paths, record.ports["kube-apiserver"])
        _start_simulator(paths, record, install=True)
        _make_control_plane(paths, record)
        write_record(paths, record)
        supervision.watch(paths, components.programs(paths))
    return record


def abandon(paths: LabPaths) -> None:
    """Remove what a creation that failed has left."""
    stop(paths)
    shutil.rmtree(paths.kwok, ignore_errors=True)


def start(paths: LabPaths, record: Record, say: Say = lambda _: None) -> None:
    """Start what of an existing lab does not run; returns while it is still coming up.

    `say` is told what had to be mended.
    """
    binaries.ensure()
    repair.check_room(paths)
    with supervision.alone(paths):
        try:
            if repair.damage(paths) is None and not _to_make_anew(paths, record):
                _start_missing(paths, record)  # the rest is looked at while it comes up
            _mend(paths, record, say)
            _start_missing(paths, record)
        finally:
            if components.pids(paths):  # what runs is looked after, even if something cannot start
                supervision.watch(paths, components.programs(paths))


def _mend(paths: LabPaths, record: Record, say: Say) -> None:
    """Make anew what was lost or damaged; that ends everything that runs with it."""
    wrong = repair.certificates(paths)
    kubeconfig.write_all(paths, record.ports["kube-apiserver"])
    damage = repair.damage(paths)
    if damage:
        wrong.append(damage)
    for each in wrong:
        say(f"Made anew: {each}")
    if wrong:
        _end_all(paths)
    if damage or _to_make_anew(paths, record):
        _check_ports(paths, record, [name for name in components.NAMES])
        repair.check_data(paths)
        _make_control_plane(paths, record)


def _to_make_anew(paths: LabPaths, record: Record) -> bool:
    """Whether nothing runs, and would run otherwise than in a new lab."""
    return not _control_plane(paths) and repair.is_outdated(paths, record)


def _start_missing(paths: LabPaths, record: Record) -> None:
    write_record(paths, record)  # both copies, whatever became of them
    pids = components.pids(paths)
    pausing.resume_all(pids)
    missing = [each for each in components.programs(paths) if each.name not in pids]
    _check_ports(paths, record, [each.name for each in missing])
    if "etcd" not in pids:
        repair.check_data(paths)
    for each in missing:
        if each.name == SIMULATOR:
            install = not record.operator or _still_to_install(paths)
            write_record(paths, msgspec.structs.replace(record, operator=True))
            _start_simulator(paths, record, install=install)
        else:
            programs.spawn(each)


def _control_plane(paths: LabPaths) -> set[str]:
    return components.pids(paths).keys() & set(components.NAMES)


def stop(paths: LabPaths) -> None:
    """Stop every process of the lab; its state stays."""
    supervision.end(paths)
    _end_all(paths)


def delete(paths: LabPaths) -> None:
    """Remove the cluster and everything that the lab kept."""
    stop(paths)
    shutil.rmtree(paths.root)


def is_up(paths: LabPaths) -> bool:
    """Whether anything of it runs."""
    return bool(components.pids(paths))


def parts(paths: LabPaths, record: Record) -> list[Part]:
    """What it consists of, and how each can be asked for its health."""
    pids, doors = components.pids(paths), _doors(paths, record)
    return [
        Part(name, pids.get(name), door.port, partial(_health, name, pids.get(name), door))
        for name, door in doors.items()
    ]


def switch(paths: LabPaths, component: str, *, on: bool) -> bool:
    """Let a component pause, or go on; False if it does so already."""
    return pausing.switch(paths, components.pids(paths), component, on=on)


def _health(name: str, pid: int | None, door: Door) -> str:
    if pid is None:
        return STOPPED
    can_be = name.removeprefix("kube-") in pausing.COMPONENTS
    return PAUSED if can_be and pausing.is_paused(pid) else door.ask()


def _doors(paths: LabPaths, record: Record) -> dict[str, Door]:
    admin, ca = _admin(paths), paths.cluster_pki / "ca.crt"
    kubelet, etcd, at = KubeletPki(paths.pki), EtcdPki(paths.pki), record.ports
    doors = {
        "etcd": Door(at["etcd"], "/health", etcd.client, etcd.ca.crt),
        "kube-apiserver": Door(at["kube-apiserver"], "/readyz", admin, ca),
        "kube-controller-manager": Door(at["kube-controller-manager"], "/healthz"),
        "kube-scheduler": Door(at["kube-scheduler"], "/healthz"),
        "kwok-controller": Door(at["kwok-controller"], "/healthz", tls=False),
        SIMULATOR: Door(at["kubelet"], "/healthz", kubelet.client, kubelet.ca.crt),
        METRICS: Door(at["metrics"], "/healthz", admin, kubelet.ca.crt),
    }
    if port := components.metrics_port(paths):
        doors[EXPORTER] = Door(port, "/healthz", pair_of(paths.pki, LEARNER), kubelet.ca.crt)
    return doors


def _clear(paths: LabPaths) -> None:
    """End and remove what a creation that was killed has left."""
    stop(paths)
    shutil.rmtree(paths.kwok, ignore_errors=True)
    paths.causes.unlink(missing_ok=True)


def _end_all(paths: LabPaths) -> None:
    if left := components.end_all(paths, STOP_SECONDS):
        what = f"after {STOP_SECONDS:.0f} s still {', '.join(left)} running"
        raise InputError(what, "`gpulab down` again")


def restart_simulator(paths: LabPaths, record: Record) -> None:
    """Start the simulated kubelets anew: they register every node of the fleet again.

    Nobody else may start it meanwhile (`supervision.alone`).
    """
    components.end_simulator(paths, STOP_SECONDS)
    _check_ports(paths, record, [SIMULATOR])
    _start_simulator(paths, record)


def is_set_up(paths: LabPaths, record: Record) -> None:
    """From now on nothing is installed again that a learner deletes."""
    if _still_to_install(paths):
        _configure_simulator(paths, record, install=False)


def _still_to_install(paths: LabPaths) -> bool:
    try:
        return Config.read(components.simulator_config(paths)).install
    except (OSError, msgspec.MsgspecError):
        return False


def _check_ports(paths: LabPaths, record: Record, names: list[str]) -> None:
    """InputError if another program has a port of one of these components."""
    of_simulator = SERVED if SIMULATOR in names else ()
    kept = [port for port in kwokctl.PORTS if port.removesuffix("-peer") in names]
    wanted = {name: record.ports[name] for name in (*kept, *of_simulator)}
    if EXPORTER in names and (port := components.metrics_port(paths)):
        wanted[EXPORTER] = port
    ports.check_free(wanted, paths.name)


def _start_simulator(paths: LabPaths, record: Record, *, install: bool = False) -> None:
    _configure_simulator(paths, record, install=install)
    programs.spawn(components.simulator(paths))


def _configure_simulator(paths: LabPaths, record: Record, *, install: bool) -> None:
    config = _config(paths, record, install=install)
    write_private(components.simulator_config(paths), config.to_json())


def _config(paths: LabPaths, record: Record, *, install: bool) -> Config:
    kubelet, ca = KubeletPki(paths.pki), paths.cluster_pki / "ca.crt"
    return Config(
        server=f"https://{ports.LOOPBACK}:{record.ports['kube-apiserver']}",
        api=Identity.of(ca, _admin(paths)),
        kubelet=Identity.of(kubelet.ca.crt, kubelet.server),
        metrics=Identity.of(ca, kubelet.server),
        metrics_client=PROXY,
        authority=str(kubelet.ca.crt),
        port=record.ports["kubelet"],
        metrics_port=record.ports["metrics"],
        fleet=record.fleet,
        seed=record.uid,
        causes=str(paths.causes),
        speed=record.speed,
        install=install,
    )


def _admin(paths: LabPaths) -> Pair:
    return Pair(paths.cluster_pki / "admin.crt", paths.cluster_pki / "admin.key")


def _make_control_plane(paths: LabPaths, record: Record) -> None:
    """Have kwokctl write its files and start its five; data and certificates stay."""
    repair.forget_configuration(paths)
    config = paths.root / "kwokctl.yaml"
    write_private(config, repair.expected(paths, record))
    _kwokctl(paths, "create", "cluster", "--config", str(config), "--kubeconfig", os.devnull)


def _kwokctl(paths: LabPaths, *arguments: str) -> None:
    """Run kwokctl for this lab; what it prints goes to the lab's logs."""
    program = binaries.ensure()["kwokctl"]
    log = paths.logs / "kwokctl.log"
    private_dir(log.parent)
    try:
        with open(log, "ab", opener=private) as out:
            subprocess.run(
                [str(program), *arguments, "--name", paths.name],
                env=_environment(paths),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                umask=0o077,
                timeout=START_SECONDS,
                check=True,
            )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise InputError(
            f"kwokctl {arguments[0]} failed; the reason is in {log}",
            "read that file's last lines; `gpulab down --delete` starts over",
        ) from None


def _environment(paths: LabPaths) -> Mapping[str, str]:
    """The user's environment without what would point kwokctl elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KWOK_")}
    return kept | {"KWOK_WORKDIR": str(paths.kwok)}
