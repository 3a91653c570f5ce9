"""Faults that can be injected: one file each in `cluster-setup/faults/`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from autograders.errors import InputError
from gpulab import providers, tampering
from gpulab.fleets import load_fleet, shapes
from gpulab.lab import Record
from gpulab.paths import DATA, LabPaths
from gpulab.private import write_private
from gpulab.sim import causes
from gpulab.sim.causes import Cause, Injected

FOLDER = DATA / "faults"


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault file. It has a cause and nothing that would be written as its effect."""

    title: str
    symptom: str  # what a learner will see, and when
    target: Literal["node", "cluster"]  # what it is injected into
    sources: tuple[str, ...]
    cause: Cause


def load() -> dict[str, Fault]:
    """All faults by name; InputError names the file and the key that is wrong."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.yaml"))}


def find(name: str) -> Fault:
    """The fault of that name."""
    known = load()
    if name not in known:
        raise InputError(f"there is no fault {name!r}", f"choose one of {', '.join(known)}")
    return known[name]


def inject(paths: LabPaths, record: Record, name: str, node: str | None) -> Injected:
    """Break something; without a node, the first one that has GPUs.

    It is on record before anything is written: who is killed in between leaves what can be healed.
    """
    if not providers.of(record.provider).SIMULATED:
        what = f"lab {paths.name!r} has no simulated nodes, and nothing else is broken on purpose"
        raise InputError(what, "use a lab of your own: gpulab up --name other")
    fault = find(name)
    chosen_node = _place(fault, name, record, node)
    if any((each.fault, each.node) == (name, chosen_node) for each in active(paths)):
        where = chosen_node or "the cluster"
        raise InputError(f"{name} is at work on {where} already", f"end it: gpulab heal {name}")
    chosen = tampering.prepare(paths, Injected(name, chosen_node, fault.cause, _now()))
    _write(paths, [*_read_all(paths), chosen])
    tampering.apply(paths, chosen)
    return chosen


def heal(paths: LabPaths, name: str | None, node: str | None) -> list[Injected]:
    """End faults, by default all; those that were at work."""
    if name is not None:
        find(name)
    ended = [e for e in active(paths) if name in (None, e.fault) and node in (None, e.node)]
    for each in ended:
        tampering.undo(paths, each)
    every = _read_all(paths)
    _write(paths, [replace(e, until=_now()) if e in ended else e for e in every])
    return ended


def active(paths: LabPaths) -> list[Injected]:
    """The faults at work."""
    return [each for each in _read_all(paths) if each.until is None]


def _read_all(paths: LabPaths) -> list[Injected]:
    try:
        return causes.read(paths.causes)
    except msgspec.MsgspecError as error:
        raise InputError(
            f"{paths.causes} is damaged ({error})", f"end all faults: rm {paths.causes}"
        ) from None


def _write(paths: LabPaths, faults: list[Injected]) -> None:
    write_private(paths.causes, msgspec.json.format(msgspec.json.encode(faults)))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _place(fault: Fault, name: str, record: Record, node: str | None) -> str:
    """The node; empty for the whole cluster."""
    if fault.target == "node":
        return _node(record, node)
    if node is not None:
        raise InputError(
            f"{name} is about the whole cluster, not about one node", "leave --node out"
        )
    return ""


def _node(record: Record, name: str | None) -> str:
    nodes = shapes(load_fleet(record.fleet))
    names = [shape.name for shape in nodes]
    if name is None:
        return next((shape.name for shape in nodes if shape.group.gpus), names[0])
    if name not in names:
        raise InputError(
            f"there is no simulated node {name!r}", f"choose one of {', '.join(names)}"
        )
    return name


def _read(path: Path) -> Fault:
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=Fault)
    except (msgspec.MsgspecError, OSError) as error:
        raise InputError(f"{path}: {error}", "correct that file; CONTRIBUTING says how") from None
