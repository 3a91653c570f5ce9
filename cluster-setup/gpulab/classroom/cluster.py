"""A clean cluster of the pool: prepared for one exercise, proven so before each hand-in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from autograders.connect import Api, connect
from autograders.errors import InputError
from autograders.load import Exercise
from gpulab import baseline, checkpoints, given, lab_reset, lifecycle, replay, reset
from gpulab.baseline import Baseline
from gpulab.lab import Record, Wanted
from gpulab.paths import LabPaths, lab_paths
from gpulab.reserved import reserve
from gpulab.sending import MERGE, send
from gpulab.verify import MAKING

MOST = 8
"""Clusters of a pool."""
STEM = "gpulab-class"
SOON = 6.0
"""Seconds in which a cluster that nothing holds is as it was."""
PREPARED = "prepared"
"""The checkpoint to go back to where deleting does not help."""


@dataclass
class Cluster:
    """One lab of the pool."""

    paths: LabPaths
    record: Record
    base: Baseline
    """What it holds when it is pristine."""
    identity: Path
    """Kubeconfig of the user whose rights a hand-in has."""
    exercise: str = ""
    restored: int = field(default=0)
    """How often it had to go back to its snapshot."""

    @property
    def digest(self) -> str:
        """Of everything that there is in it when it is pristine."""
        made = {key: one.fingerprint for key, one in self.base.made.items()}
        rows = sorted({**made, **self.base.owned}.items())
        return hashlib.sha256(repr(rows).encode()).hexdigest()


@contextmanager
def opened(number: int, fleet: str) -> Iterator[Cluster]:
    """Make one; it is removed at the end, however that comes."""
    paths = lab_paths(f"{STEM}-{number}-replay-{os.getpid()}")
    try:
        with MAKING:
            record = lifecycle.up(paths, Wanted(fleet, replay.SPEED), lasting=False)
        with connect(paths.admin_kubeconfig, read_only=False) as admin:
            reserve(admin, replay.USER)
            base = recorded(admin, paths, fleet)
        yield Cluster(paths, record, base, replay.identified(paths, record))
    finally:
        lifecycle.down(paths, delete=True)


def sweep() -> None:
    """Remove what a killed grader has left."""
    for number in range(MOST):
        replay.sweep(f"{STEM}-{number}-replay")


def recorded(admin: Api, paths: LabPaths, fleet: str) -> Baseline:
    baseline.keep(admin, paths, fleet)
    found = baseline.read(paths)
    assert found is not None  # it has just been written
    return found


def prepare(cluster: Cluster, exercise: Exercise, fleet: str) -> None:
    """Give it the exercise's nodes and namespaces, and keep that as what pristine means."""
    if (cluster.exercise, cluster.record.fleet) == (exercise.id, fleet):
        return
    paths = cluster.paths
    if cluster.exercise:
        pristine(cluster)
    with connect(paths.admin_kubeconfig, read_only=False) as admin:
        if fleet != cluster.record.fleet:
            cluster.record = lifecycle.swap(paths, cluster.record, fleet)
            lifecycle.settle(paths, cluster.record)
        given.apply(paths, yaml.safe_dump_all(reset.namespaces(exercise)))
        cluster.base = recorded(admin, paths, fleet)
        cluster.exercise = exercise.id
    if PREPARED in checkpoints.names(paths):
        checkpoints.delete(paths, PREPARED)
    checkpoints.save(paths, cluster.record, PREPARED)


def pristine(cluster: Cluster) -> None:
    """Put everything back and see that it is so; else by the snapshot, and then see it again."""
    given.forget_all(cluster.paths)
    if proven(cluster):
        return
    restore(cluster)
    if not proven(cluster):
        raise InputError("a cluster of the pool does not become clean", "grade again")


def proven(cluster: Cluster) -> bool:
    """Whether all is as it was, soon; what a finalizer holds on purpose is let go."""
    with connect(cluster.paths.admin_kubeconfig, read_only=False) as admin:
        if lab_reset.put_back(admin, cluster.base, SOON):
            return True
        let_go(admin, cluster.base)
        return lab_reset.put_back(admin, cluster.base)


def let_go(admin: Api, base: Baseline) -> None:
    """Take the finalizers off what is surplus: nobody is there who would."""
    for each in baseline.compared(baseline.everything(admin), base).surplus:
        if each.thing["metadata"].get("finalizers"):
            change = {"metadata": {"finalizers": None}}
            send(admin, "PATCH", each.path, object=change, kind=MERGE)


def restore(cluster: Cluster) -> None:
    cluster.restored += 1
    lifecycle.go_back(cluster.paths, cluster.record, PREPARED)
    given.forget_all(cluster.paths)
