"""Fleets: which simulated nodes a lab has, read from cluster-setup/fleets/<name>.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from autograders.errors import InputError
from autograders.plain_yaml import fault
from gpulab.paths import DATA

FLEETS = DATA / "fleets"
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
LARGEST = 256 * 1024
"""Bytes; a group of nodes has about a hundred."""
MAX_NODES = 16384  # one /24 of Pod addresses each, out of 100.64.0.0/10


class Reserved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What kubelet and system keep back: allocatable = capacity - reserved."""

    cpu: int = 0
    memory_gib: int = 0


class NodeGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` nodes of one shape, named <name>-1 … <name>-<count>."""

    name: str
    cpu: int  # cores
    memory_gib: int
    count: int = 1
    gpu: str | None = None  # a file of cluster-setup/gpus/, without its ending
    gpus: int = 0
    pods: int = 110  # the kubelet's default
    ephemeral_gib: int = 1700
    reserved: Reserved = Reserved()
    labels: dict[str, str] = {}


class Fleet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fleet file."""

    title: str
    nodes: tuple[NodeGroup, ...]
    stack: Literal["device-plugin", "dra"] = "device-plugin"
    """How GPUs are handed out in a new lab: as a resource, or by ResourceClaims (DRA)."""


@dataclass(frozen=True)
class NodeShape:
    """One node of a fleet; `index` is its place in the fleet, from 0."""

    name: str
    index: int
    group: NodeGroup


def load_fleet(name: str, folder: Path = FLEETS) -> Fleet:
    """Read a fleet by name, or from a path that ends in .yaml; InputError names file and key."""
    path = Path(name) if name.endswith(".yaml") else folder / f"{name}.yaml"
    try:
        fleet = msgspec.yaml.decode(_plain(path), type=Fleet)
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise InputError(f"there is no fleet {name!r}", f"choose one of {known}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "give a fleet file") from None
    except (msgspec.MsgspecError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {_one_line(error)}", "correct that key; see fleets/") from None
    _check(path, fleet)
    return fleet


def _plain(path: Path) -> str:
    """The file's text, if it is small and plain enough to be handed to a parser."""
    if path.stat().st_size > LARGEST:
        raise InputError(f"{path} is larger than {LARGEST // 1024} KiB", "give a fleet file")
    text = path.read_bytes().decode("utf-8")
    if why := fault(text):
        raise InputError(f"{path}: {why}", "write each value out, once")
    return text


def shapes(fleet: Fleet) -> Iterator[NodeShape]:
    """Every node of the fleet, in order."""
    index = 0
    for group in fleet.nodes:
        for number in range(1, group.count + 1):
            yield NodeShape(f"{group.name}-{number}", index, group)
            index += 1


def _check(path: Path, fleet: Fleet) -> None:
    """What types cannot say."""
    problems = [
        f"nodes[{i}].{problem}" for i, group in enumerate(fleet.nodes) for problem in _wrong(group)
    ]
    names = [group.name for group in fleet.nodes]
    if len(set(names)) < len(names):
        problems.append("nodes: two groups have the same name")
    if not 0 < sum(group.count for group in fleet.nodes) <= MAX_NODES:
        problems.append(f"nodes: a fleet has 1 to {MAX_NODES} nodes")
    if problems:
        raise InputError(f"{path}: {problems[0]}", "correct that key; see fleets/default.yaml")


def _wrong(group: NodeGroup) -> Iterator[str]:
    kept = group.reserved
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?", group.name):
        yield f"name: {group.name!r} cannot name a node: use lower-case letters, digits, dashes"
    if min(group.pods, group.ephemeral_gib, kept.cpu, kept.memory_gib) < 0:
        yield "pods, ephemeral_gib, reserved: must not be negative"
    yield from _wrong_labels(group.labels)
    if group.count < 1:
        yield "count: must be at least 1"
    if (group.gpu is None) != (group.gpus == 0):
        yield "gpus: a model in `gpu` and a number in `gpus` belong together"
    if not 0 <= group.gpus <= 16:
        yield "gpus: must be 0 to 16"
    if group.cpu <= group.reserved.cpu or group.memory_gib <= group.reserved.memory_gib:
        yield "reserved: must be less than cpu and memory_gib"


def _wrong_labels(labels: Mapping[str, str]) -> Iterator[str]:
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key) or not LABEL_VALUE.fullmatch(value):
            yield f"labels: {key}={value} is no label that a node can have"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
