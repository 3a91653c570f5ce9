"""Provider `embedded`: a real control plane as plain processes of this user, no containers.

kwokctl makes, starts and stops etcd, kube-apiserver, kube-controller-manager, kube-scheduler and
kwok. The simulated kubelets are one more process, started here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

import msgspec
import psutil

from autograders.errors import InputError
from gpulab import binaries, kubeconfig, pki, ports
from gpulab.lab import SERVED, Record, new_record, write_record
from gpulab.paths import LabPaths, private_dir
from gpulab.pki import private, write_private
from gpulab.processes import ProcessFile, is_running
from gpulab.providers import kwokctl, pausing
from gpulab.sim.config import Config
from gpulab.waiting import eventually

NAME = "embedded"
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
)
SIMULATOR, METRICS = "simulator", "metrics"
SIMULATED = {SIMULATOR: "kubelet", METRICS: "metrics"}  # one process; ports by component
STOP_SECONDS = 20.0
START_SECONDS = 120.0  # a cold disk on a laptop; the usual time is 3 s


def create(paths: LabPaths, fleet: str, speed: float) -> Record:
    """Make the cluster's files and start it; returns while it is still coming up."""
    programs = binaries.ensure()
    chosen = ports.free_ports([*kwokctl.PORTS, *SERVED])
    record = new_record(NAME, fleet, chosen, speed)
    _clear(paths)
    private_dir(paths.kwok)
    kubelet = pki.make_kubelet_pki(paths.pki)
    pki.make_cluster_pki(paths.cluster / "pki", paths.pki)
    _write_kubeconfigs(paths, record)
    config = paths.root / "kwokctl.yaml"
    etcd = pki.make_etcd_pki(paths.pki)
    write_private(config, kwokctl.configuration(chosen, programs, kubelet, etcd).encode())
    _start_simulator(paths, record, install=True)
    _kwokctl(paths, "create", "cluster", "--config", str(config), "--kubeconfig", os.devnull)
    write_record(paths, record)
    return record


def start(paths: LabPaths, record: Record) -> None:
    """Start what of an existing lab does not run; returns while it is still coming up."""
    binaries.ensure()
    _write_kubeconfigs(paths, record)
    pids = component_pids(paths)
    pausing.resume_all(pids)
    stopped = [name for name in COMPONENTS if name not in pids]
    _forget(paths, stopped)
    ports.check_free({n: p for n, p in record.ports.items() if n in _owners(stopped)}, paths.name)
    if simulator(paths).read() is None:
        ports.check_free({name: record.ports[name] for name in SERVED}, paths.name)
        _start_simulator(paths, record, install=not record.operator)
        write_record(paths, msgspec.structs.replace(record, operator=True))
    if stopped:
        _kwokctl(paths, "start", "cluster")


def stop(paths: LabPaths) -> None:
    """Stop every process of the lab; its state stays."""
    simulator(paths).stop()
    pids = component_pids(paths)
    pausing.resume_all(pids)
    if pids:
        _kwokctl(paths, "stop", "cluster")
        # kwokctl sends the signal and returns; ports are free only when the processes are gone
        eventually(lambda: _alive(pids), STOP_SECONDS, "`gpulab down` again")
    _kill_strays(paths)


def kill(paths: LabPaths) -> None:
    """End every process of a lab at once; for data that are about to be replaced."""
    simulator(paths).stop()
    _kill_strays(paths)


def delete(paths: LabPaths) -> None:
    """Remove the cluster and everything that the lab kept."""
    stop(paths)
    shutil.rmtree(paths.root)


def simulator(paths: LabPaths) -> ProcessFile:
    return ProcessFile(paths.processes / f"{SIMULATOR}.json")


def component_pids(paths: LabPaths) -> dict[str, int]:
    """Pid of each component that runs and is this lab's (a pid may have gone to another)."""
    found = {}
    for name in COMPONENTS:
        try:
            pid = int((paths.cluster / "pids" / f"{name}.pid").read_text())
            if str(paths.cluster) in " ".join(psutil.Process(pid).cmdline()):
                found[name] = pid
        except (FileNotFoundError, ValueError, psutil.Error):
            continue
    return found


def _clear(paths: LabPaths) -> None:
    """End and remove what a creation that was killed has left."""
    kill(paths)
    shutil.rmtree(paths.kwok, ignore_errors=True)
    paths.causes.unlink(missing_ok=True)


def _kill_strays(paths: LabPaths) -> None:
    """End what no pid file names: a process whose start was interrupted before it was noted."""
    programs = f"{paths.cluster / 'bin'}{os.sep}"
    ours = ["-m", "gpulab.sim", str(paths.root / "simulator.json")]
    strays = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if words[0].startswith(programs) or words[-3:] == ours:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            strays.append(process)
    psutil.wait_procs(strays, STOP_SECONDS)


def restart_simulator(paths: LabPaths, record: Record) -> None:
    """Start the simulated kubelets anew: they register every node of the fleet again."""
    simulator(paths).stop()
    ports.check_free({"kubelet": record.ports["kubelet"]}, paths.name)
    _start_simulator(paths, record)


def _alive(pids: Mapping[str, int]) -> str | None:
    left = [name for name, pid in pids.items() if is_running(pid)]
    return f"{', '.join(left)} running" if left else None


def _owners(components: list[str]) -> set[str]:
    return {port for port in kwokctl.PORTS if port.removesuffix("-peer") in components}


def _forget(paths: LabPaths, components: list[str]) -> None:
    """Remove pid files of dead components: kwokctl would take a reused pid for a running one."""
    for name in components:
        (paths.cluster / "pids" / f"{name}.pid").unlink(missing_ok=True)


def _write_kubeconfigs(paths: LabPaths, record: Record) -> None:
    """Write the learner's kubeconfig and the grader's, which has a certificate of its own."""
    cluster = paths.cluster / "pki"
    server = f"https://{ports.LOOPBACK}:{record.ports['kube-apiserver']}"
    admin = pki.Pair(cluster / "admin.crt", cluster / "admin.key")
    grader = pki.Pair(paths.pki / f"{pki.GRADER}.crt", paths.pki / f"{pki.GRADER}.key")
    for path, user, pair in (
        (paths.kubeconfig, "admin", admin),
        (paths.grader_kubeconfig, pki.GRADER, grader),
    ):
        kubeconfig.write(
            path, lab=paths.name, user=user, server=server, ca=cluster / "ca.crt", pair=pair
        )


def _start_simulator(paths: LabPaths, record: Record, *, install: bool = False) -> None:
    config = paths.root / "simulator.json"
    write_private(config, Config.of(paths, record, install=install).to_json())
    simulator(paths).start(
        [sys.executable, "-m", "gpulab.sim", str(config)],
        paths.logs / "simulator.log",
        env=os.environ,
        port=record.ports["kubelet"],
    )


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
