"""Up and down: what the commands do with a provider."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from autograders.connect import Api, connect
from autograders.errors import InputError
from gpulab import baseline, checkpoints, jupyter, providers, ready, supervision
from gpulab.lab import Record, Wanted, locked, read_record, write_record
from gpulab.paths import LabPaths
from gpulab.private import write_private
from gpulab.providers import EXISTING, Provider, Say, components
from gpulab.providers.parts import OK
from gpulab.sim.data import check_data
from gpulab.waiting import eventually

READY_SECONDS = 120.0  # the usual time is 4 s; a laptop with a cold disk may take a minute
STOP_SECONDS = 20.0
NODE_SECONDS = 0.3  # more for each node: 1,000 take 60 s on two idle cores


def up(
    paths: LabPaths,
    wanted: Wanted,
    say: Say = lambda _: None,
    *,
    lasting: bool = True,
) -> Record:
    """Start or resume a lab; returns when it is ready. Repeating it changes nothing.

    `say` is told what had to be mended. A new one that lasts is recorded as it is then, for
    `gpulab reset`.
    """
    if wanted.fleet.endswith(".yaml"):  # a file of the user's own: found again from anywhere
        wanted = dataclasses.replace(wanted, fleet=str(Path(wanted.fleet).absolute()))
    if wanted.provider != EXISTING:
        check_data(wanted.fleet)
    with locked(paths):
        record = read_record(paths)
        if record is None:
            record = _create(paths, wanted)
            _wait_for_new(paths, record, lasting=lasting)
        else:
            _resume(paths, record, say)
    return record


def _wait_for_new(paths: LabPaths, record: Record, *, lasting: bool) -> None:
    provider = _provider(record)
    if not provider.SIMULATED:  # a cluster that is not ours is ready once it answers
        return
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        ready.wait_for_api(api, paths, READY_SECONDS)
        ready.wait(api, paths, record.fleet, _patience(record.fleet), fresh=True)
        _wait_for_parts(paths, record)
        if lasting and provider.SNAPSHOTS:
            _keep(api, paths, record)
    provider.is_set_up(paths, record)


def _wait_for_parts(paths: LabPaths, record: Record) -> None:
    """Such as a real node that has just joined."""

    def unwell() -> str | None:
        for part in _provider(record).parts(paths, record):
            if (seen := part.ask()) != OK:
                return f"{part.name}: {seen}"
        return None

    eventually(unwell, READY_SECONDS, f"gpulab status --name {paths.name}")


def _provider(record: Record) -> Provider:
    return providers.of(record.provider)


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
    checkpoints.expect_supported(record)
    with locked(paths):
        about = checkpoints.prepare(paths, record, name)
        _provider(record).stop(paths)
        record = checkpoints.put_back(paths, record, name, about)
        write_record(paths, record)
        paths.causes.unlink(missing_ok=True)  # of another past
        _resume(paths, record)


def switch(paths: LabPaths, record: Record, component: str, *, on: bool) -> bool:
    """Pause a component, or let it go on; False if it does so already."""
    with locked(paths):
        return _provider(record).switch(paths, component, on=on)


def _resume(paths: LabPaths, record: Record, say: Say = lambda _: None) -> None:
    provider = _provider(record)
    provider.start(paths, record, say)
    if not provider.SIMULATED:
        return
    with connect(paths.admin_kubeconfig, read_only=False) as api:
        ready.wait_for_api(api, paths, READY_SECONDS)
        if ready.lost_nodes(api, paths, record.fleet, READY_SECONDS):
            with supervision.alone(paths):
                provider.restart_simulator(paths, record)
        ready.wait(api, paths, record.fleet, _patience(record.fleet), fresh=False)
    _wait_for_parts(paths, record)
    provider.is_set_up(paths, record)


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
            components.end_simulator(paths, STOP_SECONDS)
            ready.remove_nodes(api)
            write_record(paths, new)
            _provider(record).restart_simulator(paths, new)
        ready.wait(api, paths, fleet, _patience(fleet), fresh=False)
    return new


def down(paths: LabPaths, *, delete: bool) -> bool:
    """Stop JupyterLab and the cluster; with `delete`, remove its state. False: no such lab."""
    if not paths.root.exists():
        return False
    with locked(paths):
        jupyter.stop(paths)
        provider = _provider_of(paths)
        if delete:
            provider.delete(paths)
        else:
            provider.stop(paths)
    return True


def _provider_of(paths: LabPaths) -> Provider:
    """A lab's provider; of one whose record is damaged or was never written, by what it left."""
    try:
        record = read_record(paths)
    except InputError:
        record = None
    if record:
        return _provider(record)
    return providers.of(providers.KIND if paths.kind.exists() else providers.EMBEDDED)


def _create(paths: LabPaths, wanted: Wanted) -> Record:
    """A creation that fails or is interrupted leaves nothing behind that runs."""
    if (paths.cluster / "etcd").exists() and not paths.making.exists():
        raise InputError(
            f"{paths.record} is gone, and the data of its cluster are still there",
            f"make the lab anew: gpulab down --delete --name {paths.name}",
        )
    write_private(paths.making, b"")
    provider, done = providers.of(wanted.provider), False
    try:
        record = provider.create(paths, wanted)
        paths.making.unlink()
        done = True
        return record
    finally:
        if not done:
            provider.abandon(paths)
