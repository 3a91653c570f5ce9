"""The operands as data: cluster-setup/operator/operands/*.yaml, in the order of the states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from autograders.errors import InputError
from gpulab.paths import DATA

FOLDER = DATA / "operator"


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The Service of an operand, named like its DaemonSet."""

    name: str  # of the port
    port: int


class Operand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One state of the operator with one DaemonSet."""

    state: str
    """As in the message of the condition, `states not ready: [state-driver …]`."""
    key: str
    """Its part of ClusterPolicy.spec."""
    name: str
    labels: dict[str, str]
    deploy: str
    """Suffix of the node label that asks for it."""
    account: str
    main: str
    """The container that env, args and resources of the spec are for."""
    pod: dict[str, Any]
    """Pod spec; $image, $validator, $manager, $runtime_class and $mig_strategy are filled in."""
    default: bool = True
    """Whether it runs where the spec does not say."""
    selector: dict[str, str] = {}
    """Labels of the Pod selector, if not all."""
    annotations: dict[str, str] = {}
    node_selector: dict[str, str] = {}
    """Beside the label that asks for it."""
    on_delete: bool = False
    """Whether its Pods are replaced only when somebody deletes them."""
    runtime_class: bool = True
    """Whether its Pods run under NVIDIA's RuntimeClass."""
    cdi_env: dict[str, str] = {}
    """Variables of the main container with CDI."""
    config_maps: dict[str, dict[str, str]] = {}
    service: Service | None = None
    init_without: dict[str, str] = {}
    """Init containers that are left out where this part of the spec is disabled."""


def load(folder: Path = FOLDER / "operands", pattern: str = "*.yaml") -> tuple[Operand, ...]:
    """Read every file; InputError names the file and the key that is wrong."""
    return tuple(_read(path) for path in sorted(folder.glob(pattern)))


def cluster_policy(path: Path = FOLDER / "cluster-policy.yaml") -> dict[str, Any]:
    """What the Helm chart creates; also a GPUCluster, from its file."""
    found: dict[str, Any] = msgspec.yaml.decode(path.read_bytes())
    return found


def _read(path: Path) -> Operand:
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=Operand)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"{path}: {text}", "correct that key; see 10-driver.yaml") from None
