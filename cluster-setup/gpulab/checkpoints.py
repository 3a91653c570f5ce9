"""A lab's checkpoints: what its cluster knew at a moment, under a name, to go back to."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec

from autograders.connect import connect
from autograders.errors import InputError
from gpulab import inventory, providers
from gpulab.lab import Record, locked
from gpulab.paths import LabPaths, private_dir
from gpulab.private import write_private
from gpulab.providers import components, snapshot

DATA, ABOUT, GIVEN = "etcd.db", "checkpoint.json", "given"
MADE = "as-made"
"""What `gpulab up` keeps of a new lab, for `gpulab reset --lab`; it is not listed."""


class Checkpoint(msgspec.Struct, frozen=True):
    """checkpoint.json, beside the snapshot."""

    created: dt.datetime
    uid: str
    """The lab's: another lab's objects hang on other certificates and devices."""
    fleet: str
    operator: bool
    inventory: dict[str, str]
    """What was there, to say later what going back would cost."""


def expect_supported(record: Record) -> None:
    """Refuse checkpoints where containers would not go back with the cluster's memory."""
    if not providers.of(record.provider).SNAPSHOTS:
        what = f"a lab of provider {record.provider} has no checkpoints"
        raise InputError(what, "use a lab without Docker for them: gpulab up --name other")


def save_running(paths: LabPaths, record: Record, name: str) -> None:
    """Keep the state of a lab, while no other command changes it; it must run."""
    expect_supported(record)
    if not components.pids(paths):
        raise InputError(f"lab {paths.name!r} is down", f"gpulab up --name {paths.name}")
    with locked(paths):
        save(paths, record, name)


def save(paths: LabPaths, record: Record, name: str) -> None:
    """Keep what a running lab's cluster knows; a name that is taken is not taken again."""
    target = _folder(paths, name)
    if target.exists():
        raise InputError(
            f"there is a checkpoint {name!r} already",
            f"choose another name, or remove it: gpulab checkpoint delete {name}",
        )
    with _making(paths) as made:
        with ThreadPoolExecutor(1) as pool:  # two programs, two cores
            data = pool.submit(snapshot.save, paths, record, made / DATA)
            with connect(paths.admin_kubeconfig, read_only=False) as api:
                found = {} if name == MADE else inventory.take(api)  # nobody asks what is lost
            data.result()
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        about = Checkpoint(now, record.uid, record.fleet, record.operator, found)
        write_private(made / ABOUT, msgspec.json.encode(about))
        if (paths.root / GIVEN).exists():
            shutil.copytree(paths.root / GIVEN, made / GIVEN)
        made.rename(target)


def prepare(paths: LabPaths, record: Record, name: str) -> Checkpoint:
    """Do what can fail while the lab still runs."""
    about = read(paths, record, name)
    snapshot.prepare(paths, record, _folder(paths, name) / DATA)
    return about


def put_back(paths: LabPaths, record: Record, name: str, about: Checkpoint) -> Record:
    """Give a stopped lab what was prepared; the record that goes with it."""
    snapshot.swap(paths)
    shutil.rmtree(paths.root / GIVEN, ignore_errors=True)
    given = _folder(paths, name) / GIVEN
    if given.exists():
        shutil.copytree(given, paths.root / GIVEN)
    return msgspec.structs.replace(record, fleet=about.fleet, operator=about.operator)


def read(paths: LabPaths, record: Record, name: str) -> Checkpoint:
    """A checkpoint that is whole and this lab's."""
    folder = _folder(paths, name)
    do = f"remove it: gpulab checkpoint delete {name}"
    if not folder.exists():
        known = ", ".join(names(paths)) or "there is none yet"
        raise InputError(f"there is no checkpoint {name!r}", f"choose one: {known}")
    try:
        about = msgspec.json.decode((folder / ABOUT).read_bytes(), type=Checkpoint)
    except (FileNotFoundError, msgspec.MsgspecError):
        raise InputError(f"checkpoint {name!r} is damaged", do) from None
    if not (folder / DATA).exists():
        raise InputError(f"checkpoint {name!r} is damaged", do)
    if about.uid != record.uid:
        raise InputError(f"checkpoint {name!r} is of another lab", do)
    return about


def names(paths: LabPaths, *, hidden: bool = False) -> list[str]:
    """All checkpoints of the lab, the oldest first; with `hidden`, its first one, too."""
    found = (file.parent for file in _all(paths).glob(f"*/{ABOUT}"))
    left_out = (".",) if hidden else (".", MADE)
    kept = [folder for folder in found if not folder.name.startswith(left_out)]
    return [each.name for each in sorted(kept, key=lambda each: (each / ABOUT).stat().st_mtime)]


def size(paths: LabPaths, name: str) -> int:
    """Bytes on disk."""
    return (_folder(paths, name) / DATA).stat().st_size


def delete(paths: LabPaths, name: str) -> None:
    folder = _folder(paths, name)
    if not folder.exists():
        known = ", ".join(names(paths)) or "there is none"
        raise InputError(f"there is no checkpoint {name!r}", f"choose one: {known}")
    shutil.rmtree(folder)


def _all(paths: LabPaths) -> Path:
    return paths.root / "checkpoints"


def _folder(paths: LabPaths, name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name):
        raise InputError(
            f"{name!r} cannot name a checkpoint",
            "use up to 40 lower-case letters, digits and dashes, for example before-drain",
        )
    return _all(paths) / name


@contextmanager
def _making(paths: LabPaths) -> Iterator[Path]:
    """A folder that is gone unless it was renamed."""
    private_dir(_all(paths))
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=_all(paths)))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
