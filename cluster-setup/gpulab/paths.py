"""Where the lab keeps its state, its binaries and its data, and whose they must be."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from autograders.errors import InputError

DATA = Path(__file__).resolve().parents[1]  # cluster-setup/
ROOT = DATA.parent  # the clone


def home() -> Path:
    """Folder of all labs: $GPULAB_HOME, else the user's data directory."""
    chosen = os.environ.get("GPULAB_HOME")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_data_path("gpulab")


def cache() -> Path:
    """Folder of what can be made again (the binaries): $GPULAB_CACHE, else the user's cache."""
    chosen = os.environ.get("GPULAB_CACHE")
    return (
        Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("gpulab")
    )


def work() -> Path:
    """The learner's folder: $GPULAB_WORK, else ~/gpulab."""
    return Path(os.environ.get("GPULAB_WORK") or "~/gpulab").expanduser().absolute()


def private_dir(path: Path, variable: str = "GPULAB_HOME") -> Path:
    """`path` as a folder that only its owner can enter; parents that are made are private, too.

    Raises InputError if it is another's or no folder; `variable` is what would choose another.
    """
    do = f"set {variable} to a folder of yours"
    try:
        _make_private(path)
        owner = path.stat().st_uid
        if owner == os.geteuid():
            path.chmod(0o700)
            return path
    except (NotADirectoryError, FileExistsError):
        raise InputError(f"{path} is a file, or a part of it is", do) from None
    except PermissionError:
        raise InputError(f"{path} cannot be written by {_user()}", do) from None
    raise InputError(f"{path} belongs to user {owner}, not to {_user()}", do)


def _make_private(path: Path) -> None:
    if not path.is_dir():
        if not path.parent.exists():
            _make_private(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def _user() -> str:
    return f"user {os.geteuid()}"


@dataclass(frozen=True)
class LabPaths:
    """Every file of one lab. Nothing of a lab lies outside `root`."""

    name: str
    root: Path

    @property
    def record(self) -> Path:
        return self.root / "lab.json"

    @property
    def record_copy(self) -> Path:
        """Without the record, nobody would know the lab's ports and devices."""
        return self.root / "lab.copy.json"

    @property
    def making(self) -> Path:
        """There while a lab is made: what is found beside it was never ready."""
        return self.root / "making"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def admin_kubeconfig(self) -> Path:
        """For gpulab itself: whatever guards are there for learners, it may do everything."""
        return self.root / "admin.kubeconfig"

    @property
    def kubeconfig(self) -> Path:
        """The learner's."""
        return self.root / "kubeconfig"

    @property
    def grader_kubeconfig(self) -> Path:
        return self.root / "grader.kubeconfig"

    @property
    def pki(self) -> Path:
        """Certificates that gpulab makes: kubelet server, API server's client, grader."""
        return self.root / "pki"

    @property
    def kwok(self) -> Path:
        """KWOK_WORKDIR: kwokctl's state for this lab."""
        return self.root / "kwok"

    @property
    def cluster(self) -> Path:
        """Kwokctl's folder of the cluster: etcd data, logs, pids, pki."""
        return self.kwok / "clusters" / self.name

    @property
    def cluster_pki(self) -> Path:
        """The cluster's authority and its administrator: ca.crt, ca.key, admin.crt, admin.key."""
        return self.cluster / "pki"

    @property
    def kind(self) -> Path:
        """What kind was told, and `nodes`, which is in each of its containers."""
        return self.root / "kind"

    @property
    def processes(self) -> Path:
        """JupyterLab's process; what the supervisor is told, and what it did."""
        return self.root / "processes"

    @property
    def causes(self) -> Path:
        """What is broken on purpose: `gpulab break` writes it, the simulator reads it."""
        return self.root / "causes.json"

    @property
    def metrics(self) -> Path:
        """There while the metrics of the GPUs are served: on which port."""
        return self.root / "metrics.port"

    @property
    def probing(self) -> Path:
        """There while an exercise is tried: how to put back what is changed for that."""
        return self.root / "probing.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"


def lab_paths(name: str) -> LabPaths:
    """The paths of the lab called `name` (as a DNS label, at most 40 characters)."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name):
        raise InputError(
            f"{name!r} cannot name a lab",
            "use up to 40 lower-case letters, digits and dashes, for example --name demo",
        )
    return LabPaths(name, home() / "labs" / name)
