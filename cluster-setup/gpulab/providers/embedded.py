"""Provider `embedded`: a real control plane as plain processes of this user, no containers.

kwokctl makes etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok, and writes
down how each is started. The simulated kubelets are one more process. A supervisor keeps all six.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping

import msgspec

from autograders.errors import InputError
from gpulab import binaries, kubeconfig, pki, ports, programs, supervision
from gpulab.lab import SERVED, Record, new_record, write_record
from gpulab.paths import LabPaths, private_dir
from gpulab.private import private, write_private
from gpulab.providers import components, kwokctl, pausing, repair
from gpulab.providers.components import SIMULATOR
from gpulab.sim.config import Config

NAME = "embedded"
STOP_SECONDS = 20.0
START_SECONDS = 120.0  # a cold disk on a laptop; the usual time is 3 s
Say = Callable[[str], None]


def create(paths: LabPaths, fleet: str, speed: float) -> Record:
    """Make the cluster's files and start it; returns while it is still coming up."""
    binaries.ensure()
    repair.check_room(paths)
    record = new_record(NAME, fleet, ports.free_ports([*kwokctl.PORTS, *SERVED]), speed)
    _clear(paths)
    private_dir(paths.kwok)
    with supervision.alone(paths):
        repair.certificates(paths)
        _write_kubeconfigs(paths, record)
        _start_simulator(paths, record, install=True)
        _make_control_plane(paths, record)
        write_record(paths, record)
        supervision.watch(paths, components.programs(paths))
    return record


def start(paths: LabPaths, record: Record, say: Say = lambda _: None) -> None:
    """Start what of an existing lab does not run; returns while it is still coming up.

    `say` is told what had to be mended.
    """
    binaries.ensure()
    repair.check_room(paths)
    with supervision.alone(paths):
        try:
            _mend(paths, record, say)
            _start_missing(paths, record)
        finally:
            if components.pids(paths):  # what runs is looked after, even if something cannot start
                supervision.watch(paths, components.programs(paths))


def _mend(paths: LabPaths, record: Record, say: Say) -> None:
    """Make anew what was lost or damaged; that ends everything that runs with it."""
    wrong = repair.certificates(paths)
    _write_kubeconfigs(paths, record)
    damage = repair.damage(paths)
    if damage:
        wrong.append(damage)
    for each in wrong:
        say(f"Made anew: {each}")
    if wrong:
        _end_all(paths)
    if damage or (not _control_plane(paths) and repair.is_outdated(paths, record)):
        _check_ports(paths, record, [name for name in components.NAMES])
        repair.check_data(paths)
        _make_control_plane(paths, record)


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
    ports.check_free({name: record.ports[name] for name in (*kept, *of_simulator)}, paths.name)


def _write_kubeconfigs(paths: LabPaths, record: Record) -> None:
    """Write those of the administrator (gpulab itself), of the learner and of the grader."""
    cluster = paths.cluster / "pki"
    server = f"https://{ports.LOOPBACK}:{record.ports['kube-apiserver']}"
    for path, user, folder in (
        (paths.admin_kubeconfig, "admin", cluster),
        (paths.kubeconfig, pki.LEARNER, paths.pki),
        (paths.grader_kubeconfig, pki.GRADER, paths.pki),
    ):
        pair = pki.Pair(folder / f"{user}.crt", folder / f"{user}.key")
        kubeconfig.write(
            path, lab=paths.name, user=user, server=server, ca=cluster / "ca.crt", pair=pair
        )


def _start_simulator(paths: LabPaths, record: Record, *, install: bool = False) -> None:
    _configure_simulator(paths, record, install=install)
    programs.spawn(components.simulator(paths))


def _configure_simulator(paths: LabPaths, record: Record, *, install: bool) -> None:
    config = Config.of(paths, record, install=install)
    write_private(components.simulator_config(paths), config.to_json())


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
    with open(log, "ab", opener=private) as out:
        done = subprocess.run(
            [str(program), *arguments, "--name", paths.name],
            env=_environment(paths),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            umask=0o077,
            timeout=START_SECONDS,
            check=False,
        )
    if done.returncode:
        raise InputError(
            f"kwokctl {arguments[0]} failed; the reason is in {log}",
            "read that file's last lines; `gpulab down --delete` starts over",
        )


def _environment(paths: LabPaths) -> Mapping[str, str]:
    """The user's environment without what would point kwokctl elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KWOK_")}
    return kept | {"KWOK_WORKDIR": str(paths.kwok)}
