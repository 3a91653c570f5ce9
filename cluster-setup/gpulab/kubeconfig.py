"""Kubeconfig files of a lab: the administrator's, the learner's and the grader's."""

from __future__ import annotations

from pathlib import Path

import yaml

from gpulab.pairs import Pair
from gpulab.private import write_private


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
