"""Before a start: what of a lab's files was lost, damaged or has expired is made again."""

from __future__ import annotations

import os
import shutil

import yaml

from autograders.errors import InputError
from gpulab import binaries
from gpulab.fleets import load_fleet, shapes
from gpulab.lab import Record
from gpulab.pairs import EtcdPki, KubeletPki
from gpulab.paths import LabPaths
from gpulab.providers import components, kwokctl

NEEDED_MIB = 64  # etcd sets aside 64 MiB at a time; without them it does not start


def check_room(paths: LabPaths) -> None:
    """InputError on a full disk: what starts there would die and could lose its last words."""
    free = shutil.disk_usage(paths.root).free >> 20
    if free < NEEDED_MIB:
        raise InputError(
            f"the disk is full: {free} MiB are free at {paths.root}",
            f"free at least {NEEDED_MIB} MiB there, then `gpulab up` again; nothing is lost",
        )


def check_data(paths: LabPaths) -> None:
    """InputError if etcd's data are gone: it would start with an empty cluster and say nothing."""
    if not (paths.cluster / "etcd" / "member" / "snap" / "db").exists():
        raise InputError(
            f"the cluster's data are gone: {paths.cluster / 'etcd'} has none",
            f"go back: gpulab checkpoint list --name {paths.name}; or make the lab anew: "
            f"gpulab down --delete --name {paths.name}",
        )


def certificates(paths: LabPaths) -> list[str]:
    """Make anew each family of certificates of which one is missing, damaged or expired.

    What was wrong with it, in words; if there is any, all programs must be started anew.
    """
    from gpulab import pki  # takes 0.1 s to import

    pki.mend_clients(paths.cluster / "pki", paths.pki)
    wrong = []
    for family in pki.families(paths.cluster / "pki", paths.pki):
        seen = next(filter(None, (pki.defect(pair, family.authority) for pair in family.pairs)), "")
        if seen:
            family.make()
            wrong.append(seen)
    return wrong


def damage(paths: LabPaths) -> str | None:
    """What is wrong with kwokctl's files, in words."""
    file = paths.cluster / "kubeconfig.yaml"
    try:
        for program in components.control_plane(paths):
            if not os.access(program.command[0], os.X_OK):
                return f"{program.command[0]} (no program there)"
        admin = yaml.load(file.read_bytes(), components.LOADER)
        return None if admin["clusters"] and admin["users"] else f"{file} (nothing in it)"
    except components.Damaged as error:
        return str(error)
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        return f"{file} ({' '.join(str(error).split())})"


def is_outdated(paths: LabPaths, record: Record) -> bool:
    """Whether this version would tell kwokctl something else."""
    try:
        return (paths.root / "kwokctl.yaml").read_bytes() != expected(paths, record)
    except OSError:
        return True


def forget_configuration(paths: LabPaths) -> None:
    """Let kwokctl make its files anew; etcd's data and the certificates stay."""
    for name in ("kwok.yaml", "kubeconfig.yaml"):
        (paths.cluster / name).unlink(missing_ok=True)
    for file in (paths.cluster / "pids").glob("*.pid"):
        file.unlink()  # kwokctl takes a pid that somebody else has, or a zombie, for a running one


def expected(paths: LabPaths, record: Record) -> bytes:
    """The file for kwokctl of a lab with these ports."""
    kubelet, etcd = KubeletPki(paths.pki), EtcdPki(paths.pki)
    nodes = sum(1 for _ in shapes(load_fleet(record.fleet)))
    return kwokctl.configuration(record.ports, binaries.ensure(), kubelet, etcd, nodes).encode()
