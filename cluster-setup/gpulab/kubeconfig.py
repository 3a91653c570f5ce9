"""Kubeconfig files of a lab: the administrator's, the learner's and the grader's."""

from __future__ import annotations

from pathlib import Path

import yaml

from gpulab.pairs import GRADER, LEARNER, Pair
from gpulab.paths import LabPaths
from gpulab.ports import LOOPBACK
from gpulab.private import write_private


def write_all(paths: LabPaths, port: int) -> None:
    """Write those of the administrator (gpulab itself), of the learner and of the grader."""
    cluster, server = paths.cluster_pki, f"https://{LOOPBACK}:{port}"
    for path, user, folder in (
        (paths.admin_kubeconfig, "admin", cluster),
        (paths.kubeconfig, LEARNER, paths.pki),
        (paths.grader_kubeconfig, GRADER, paths.pki),
    ):
        pair = Pair(folder / f"{user}.crt", folder / f"{user}.key")
        write(path, lab=paths.name, user=user, server=server, ca=cluster / "ca.crt", pair=pair)


def write(path: Path, *, lab: str, user: str, server: str, ca: Path, pair: Pair) -> None:
    """Write a kubeconfig with one cluster, one user and one context."""
    name = f"gpulab-{lab}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": name, "cluster": {"server": server, "certificate-authority": str(ca)}}
        ],
        "users": [
            {
                "name": user,
                "user": {"client-certificate": str(pair.crt), "client-key": str(pair.key)},
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode())
