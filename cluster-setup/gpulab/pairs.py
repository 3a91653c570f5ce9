"""Where a lab's certificates lie; `pki.py` makes them, which takes longer to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

APISERVER_CLIENT = "kube-apiserver-kubelet-client"  # the name that kubeadm gives it, too
ETCD_CLIENT = "kube-apiserver-etcd-client"
GRADER = "gpulab-grader"
LEARNER = "learner"
LEARNERS = "gpulab:learners"  # his group, so that a lesson's guard can name it


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key as PEM files."""

    crt: Path
    key: Path


@dataclass(frozen=True)
class KubeletPki:
    """What the kubelet server and the API server need to trust each other."""

    folder: Path

    @property
    def ca(self) -> Pair:
        return pair_of(self.folder, "kubelet-ca")

    @property
    def server(self) -> Pair:
        return pair_of(self.folder, "kubelet")

    @property
    def client(self) -> Pair:
        return pair_of(self.folder, APISERVER_CLIENT)


@dataclass(frozen=True)
class EtcdPki:
    """What etcd and the API server need; no other certificate opens etcd."""

    folder: Path

    @property
    def ca(self) -> Pair:
        return pair_of(self.folder, "etcd-ca")

    @property
    def server(self) -> Pair:
        """Of etcd, for its clients and its peers."""
        return pair_of(self.folder, "etcd")

    @property
    def client(self) -> Pair:
        return pair_of(self.folder, ETCD_CLIENT)


def pair_of(folder: Path, name: str) -> Pair:
    return Pair(folder / f"{name}.crt", folder / f"{name}.key")
