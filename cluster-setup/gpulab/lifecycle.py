"""Up and down: what the commands do with a provider."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from autograders.connect import Api, connect
from autograders.errors import InputError
from gpulab import baseline, checkpoints, jupyter, ready, supervision
from gpulab.lab import Record, locked, read_record, write_record
from gpulab.paths import LabPaths
from gpulab.private import write_private
from gpulab.providers import components, embedded, pausing
from gpulab.providers.embedded import Say
from gpulab.sim.data import check_data

READY_SECONDS = 120.0  # the usual time is 4 s; a laptop with a cold disk may take a minute
NODE_SECONDS = 0.3  # more for each node: 1,000 take 60 s on two idle cores


def up(
    paths: LabPaths,
    fleet: str,
    speed: float = 1.0,
    say: Say = lambda _: None,
    *,
    lasting: bool = True,
) -> Record:
    """Start or resume a lab; returns when it is ready. Repeating it changes nothing.

    `say` is told what had to be mended. A new one that lasts is recorded as it is then, for
    `gpulab reset`.
    """
    if fleet.endswith(".yaml"):  # a file of the user's own: found again from anywhere
        fleet = str(Path(fleet).absolute())
    check_data(fleet)
    with locked(paths):
        record = read_record(paths)
        if record is None:
            record = _create(paths, fleet, speed)
            with connect(paths.admin_kubeconfig, read_only=False) as api:
                ready.wait_for_api(api, paths, READY_SECONDS)
                ready.wait(api, paths, record.fleet, _patience(record.fleet), fresh=True)
                if lasting:
                    _keep(api, paths, record)
            embedded.is_set_up(paths, record)
        else:
            _resume(paths, record, say)
    return record


def _patience(fleet: str) -> float:
    return READY_SECONDS + NODE_SECONDS * len(ready.expected_gpus(fleet))


def _keep(api: Api, paths: LabPaths, record: Record) -> None:
    """Record what there is, and how to go back to it where that does not help."""
    with ThreadPoolExecutor(1) as pool:  # two programs, two cores
        snapshot = pool.submit(checkpoints.save, paths, record, checkpoints.MADE)
        baseline.keep(api, paths, record.fleet)
        snapshot.result()


def go_back(paths: LabPaths, record: Record, name: str) -> None:
    """Give a lab the state of a checkpoint, whether it runs or not; then it is ready."""
    with locked(paths):
        about = checkpoints.prepare(paths, record, name)
        embedded.stop(paths)
        record = checkpoints.put_back(paths, record, name, about)
        write_record(paths, record)
        paths.causes.unlink(missing_ok=True)  # of another past
        _resume(paths, record)


def switch(paths: LabPaths, component: str, *, on: bool) -> bool:
    """Pause a component, or let it go on; False if it does so already."""
    with locked(paths):
        return pausing.switch(paths, components.pids(paths), component, on=on)


def _resume(paths: LabPaths, record: Record, say: Say = lambda _: None) -> None:
    embedded.start(paths, record, say)
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        ready.wait_for_api(api, paths, READY_SECONDS)
        if ready.lost_nodes(api, paths, record.fleet, READY_SECONDS):
            with supervision.alone(paths):
                embedded.restart_simulator(paths, record)
        ready.wait(api, paths, record.fleet, _patience(record.fleet), fresh=False)
    embedded.is_set_up(paths, record)


def settle(paths: LabPaths, record: Record) -> None:
    """Let a lab that was put back become ready; nodes that are gone register again."""
    with locked(paths):
        _resume(paths, record)


def swap(paths: LabPaths, record: Record, fleet: str) -> Record:
    """Give a lab other nodes; the old ones go, with every Pod that they had."""
    check_data(fleet)
    new = replace(record, fleet=fleet)
    with locked(paths), connect(paths.admin_kubeconfig, read_only=False) as api:
        api.text("/readyz")  # a lab that is down says so before anything is changed
        with supervision.alone(paths):
            components.end_simulator(paths, embedded.STOP_SECONDS)
            ready.remove_nodes(api)
            write_record(paths, new)
            embedded.restart_simulator(paths, new)
        ready.wait(api, paths, fleet, _patience(fleet), fresh=False)
    return new


def down(paths: LabPaths, *, delete: bool) -> bool:
    """Stop JupyterLab and the cluster; with `delete`, remove its state. False: no such lab."""
    if not paths.root.exists():
        return False
    with locked(paths):
        jupyter.stop(paths)
        if delete:
            embedded.delete(paths)
        else:
            embedded.stop(paths)
    return True


def _create(paths: LabPaths, fleet: str, speed: float) -> Record:
    """A creation that fails or is interrupted leaves nothing behind that runs."""
    if (paths.cluster / "etcd").exists() and not paths.making.exists():
        raise InputError(
            f"{paths.record} is gone, and the data of its cluster are still there",
            f"make the lab anew: gpulab down --delete --name {paths.name}",
        )
    write_private(paths.making, b"")
    done = False
    try:
        record = embedded.create(paths, fleet, speed)
        paths.making.unlink()
        done = True
        return record
    finally:
        if not done:
            embedded.stop(paths)
            shutil.rmtree(paths.kwok, ignore_errors=True)
