"""A lab's record: what was chosen when it was made, and kept since."""

from __future__ import annotations

import datetime as dt
import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autograders.errors import InputError
from gpulab.paths import LabPaths, home, lab_paths, private_dir
from gpulab.private import private, write_private
from gpulab.providers import EMBEDDED, EXISTING, KIND
from gpulab.providers.kwokctl import PORTS

SERVED = ("kubelet", "metrics")  # ports on which the simulator listens
KEPT = {*PORTS, *SERVED}  # ports that a lab of provider embedded has
ON_KIND = {"kube-apiserver", "kwok-controller", *SERVED}  # the others are inside the containers
NEEDED = {EMBEDDED: KEPT, KIND: ON_KIND, EXISTING: set[str]()}


@dataclass(frozen=True)
class Wanted:
    """What is chosen when a lab is made."""

    fleet: str
    speed: float = 1.0
    provider: str = EMBEDDED
    node_image: str | None = None
    """Of provider kind; None: the one of versions.toml."""
    kubeconfig: str | None = None
    """Of provider existing: the text of a file with one context."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """lab.json. `uid` seeds the device UUIDs of this lab.

    Ports are on loopback, but for those that the simulator of a kind lab serves on Docker's bridge.
    """

    provider: str
    fleet: str
    uid: str
    created: dt.datetime
    ports: dict[str, int]
    speed: float = 1.0
    operator: bool = False  # whether NVIDIA's was installed; labs of earlier versions have none

    node_image: str | None = None  # of the containers of provider kind


def new_record(wanted: Wanted, ports: dict[str, int]) -> Record:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return Record(
        wanted.provider,
        wanted.fleet,
        str(uuid.uuid4()),
        now,
        ports,
        wanted.speed,
        operator=True,
        node_image=wanted.node_image,
    )


def read_record(paths: LabPaths) -> Record | None:
    """The lab's record, or None if there is no such lab.

    If it was lost or damaged, its copy counts; the next `write_record` writes both.
    """
    try:
        return _decode(paths.record) or _decode(paths.record_copy)
    except PermissionError:
        raise InputError(
            f"{paths.root} belongs to another user", "set GPULAB_HOME to a folder of yours"
        ) from None
    except msgspec.MsgspecError as error:
        with suppress(msgspec.MsgspecError):
            if (copy := _decode(paths.record_copy)) is not None:
                return copy
        raise InputError(
            f"{paths.record} is damaged ({error})",
            f"make the lab anew: gpulab down --delete --name {paths.name}",
        ) from None


def _decode(file: Path) -> Record | None:
    try:
        record = msgspec.json.decode(file.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    if record.provider not in NEEDED:
        raise msgspec.ValidationError(f"no provider {record.provider!r}")
    if missing := NEEDED[record.provider] - record.ports.keys():
        raise msgspec.ValidationError(f"ports lack {', '.join(sorted(missing))}")
    return record


def write_record(paths: LabPaths, record: Record) -> None:
    content = msgspec.json.format(msgspec.json.encode(record))
    for file in (paths.record, paths.record_copy):
        write_private(file, content)


def existing(name: str) -> tuple[LabPaths, Record]:
    """Paths and record of a lab that must exist."""
    paths = lab_paths(name)
    record = read_record(paths)
    if record is None:
        option = "" if name == "lab" else f" --name {name}"
        raise InputError(f"there is no lab called {name!r}", f"start it: gpulab up{option}")
    return paths, record


def names() -> list[str]:
    """All labs of this user."""
    return sorted(path.parent.name for path in (home() / "labs").glob("*/lab.json"))


def expect_own(paths: LabPaths) -> None:
    """InputError where a folder of the lab's is somebody else's, or a file."""
    for folder in (home(), paths.root):
        if folder.exists():
            private_dir(folder)


@contextmanager
def locked(paths: LabPaths) -> Iterator[None]:
    """One command changes a lab at a time; a second one waits for the first."""
    private_dir(home())
    private_dir(paths.root)
    with open(paths.lock, "w", opener=private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
