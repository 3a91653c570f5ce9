"""What the simulator process is told when it starts; written by a provider, read once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from gpulab.lab import Record
    from gpulab.paths import LabPaths


class Identity(msgspec.Struct, frozen=True):
    """A CA to trust and a certificate to show, as paths of PEM files."""

    ca: str
    crt: str
    key: str


class Config(msgspec.Struct, frozen=True):
    """All inputs of the simulator besides cluster-setup's data files."""

    server: str  # URL of the API server
    api: Identity  # how the simulator proves itself to it
    kubelet: Identity  # the CA of those who may ask for logs and exec, and what is shown to them
    port: int  # where the kubelet server listens, on loopback
    metrics_port: int  # where the metrics API listens, on loopback
    fleet: str
    seed: str  # decides the UUIDs of the simulated devices
    causes: str  # the file that says what is broken on purpose
    speed: float = 1.0  # divides pull, back-off and grace times
    install: bool = False  # NVIDIA's operator first: the cluster is new

    @classmethod
    def of(cls, paths: LabPaths, record: Record, *, install: bool = False) -> Config:
        """Build the configuration of a lab of provider `embedded`."""
        cluster, pki = paths.cluster / "pki", paths.pki
        return cls(
            server=f"https://127.0.0.1:{record.ports['kube-apiserver']}",
            api=_identity(cluster / "ca.crt", cluster / "admin"),
            kubelet=_identity(pki / "kubelet-ca.crt", pki / "kubelet"),
            port=record.ports["kubelet"],
            metrics_port=record.ports["metrics"],
            fleet=record.fleet,
            seed=record.uid,
            causes=str(paths.causes),
            speed=record.speed,
            install=install,
        )

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self))

    @classmethod
    def read(cls, path: Path) -> Config:
        return msgspec.json.decode(path.read_bytes(), type=cls)


def _identity(ca: Path, pair: Path) -> Identity:
    return Identity(str(ca), f"{pair}.crt", f"{pair}.key")
