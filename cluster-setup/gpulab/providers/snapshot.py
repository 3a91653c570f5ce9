"""Snapshots of an embedded lab's etcd: all that its cluster knows, in one file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from autograders.errors import InputError
from gpulab import binaries
from gpulab.lab import Record
from gpulab.pairs import EtcdPki
from gpulab.paths import LabPaths
from gpulab.ports import LOOPBACK

SECONDS = 60.0
NEW = "etcd.new"
MEMBER = "node0"  # kwokctl's name for the only one
# Whoever has watched the cluster across a restore asks anew, since what he knows is compacted:
# https://etcd.io/docs/v3.6/op-guide/recovery/#restoring-with-revision-bump
BUMP = ("--bump-revision", "1000000000", "--mark-compacted")


def save(paths: LabPaths, record: Record, file: Path) -> None:
    """Write a snapshot of a running lab; etcd checks its sum when it is restored."""
    etcd = EtcdPki(paths.pki)
    _run(
        paths,
        "etcdctl",
        f"--endpoints=https://{LOOPBACK}:{record.ports['etcd']}",
        f"--cacert={etcd.ca.crt}",
        f"--cert={etcd.client.crt}",
        f"--key={etcd.client.key}",
        "snapshot",
        "save",
        str(file),
    )
    file.chmod(0o600)


def prepare(paths: LabPaths, record: Record, file: Path) -> None:
    """Make data of a snapshot beside the lab's, which may run meanwhile; damage shows here."""
    made = paths.cluster / NEW
    shutil.rmtree(made, ignore_errors=True)
    peer = f"https://{LOOPBACK}:{record.ports['etcd-peer']}"
    _run(
        paths,
        "etcdutl",
        "snapshot",
        "restore",
        str(file),
        f"--data-dir={made}",
        f"--name={MEMBER}",
        f"--initial-cluster={MEMBER}={peer}",
        f"--initial-advertise-peer-urls={peer}",
        *BUMP,
    )


def swap(paths: LabPaths) -> None:
    """Let a stopped lab start with what was prepared."""
    data, old = paths.cluster / "etcd", paths.cluster / "etcd.old"
    shutil.rmtree(old, ignore_errors=True)
    if data.exists():
        data.rename(old)
    (paths.cluster / NEW).rename(data)
    shutil.rmtree(old, ignore_errors=True)


def _run(paths: LabPaths, program: str, *arguments: str) -> None:
    """Run one of etcd's programs; what it says goes to the lab's logs."""
    log = paths.logs / f"{program}.log"
    do = f"read the last lines of {log}"
    try:
        done = subprocess.run(
            [str(binaries.ensure()[program]), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            umask=0o077,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{program} did not end within {SECONDS:.0f} s", do) from None
    log.write_bytes(done.stdout + done.stderr)
    if done.returncode:
        raise InputError(f"{program} failed: {_last(done.stderr)}", do)


def _last(text: bytes) -> str:
    lines = text.decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "no output"
