"""What the simulator process is told when it starts; written by a provider, read once."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gpulab.pairs import Pair
from gpulab.ports import LOOPBACK


class Identity(msgspec.Struct, frozen=True):
    """A CA to trust and a certificate to show, as paths of PEM files."""

    ca: str
    crt: str
    key: str

    @classmethod
    def of(cls, ca: Path, pair: Pair) -> Identity:
        return cls(str(ca), str(pair.crt), str(pair.key))


class Config(msgspec.Struct, frozen=True):
    """All inputs of the simulator besides cluster-setup's data files."""

    server: str  # URL of the API server
    api: Identity  # how the simulator proves itself to it
    kubelet: Identity  # the CA of those who may ask for logs and exec, and what is shown to them
    metrics: Identity  # the same for the metrics API
    metrics_client: str  # the name in the certificate that the API server shows there
    authority: str  # the CA of what is shown, for the API server
    port: int  # where the kubelet server listens
    metrics_port: int  # where the metrics API listens
    fleet: str
    seed: str  # decides the UUIDs of the simulated devices
    causes: str  # the file that says what is broken on purpose
    address: str = LOOPBACK  # on which both listen
    host: str = "localhost"  # what the API server calls it
    beside_real: bool = False  # whether there are real nodes, too
    speed: float = 1.0  # divides pull, back-off and grace times
    install: bool = False  # NVIDIA's operator first: the cluster is new

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self))

    @classmethod
    def read(cls, path: Path) -> Config:
        return msgspec.json.decode(path.read_bytes(), type=cls)
